"""What a failed check saw, and the bodies that targets send."""

from dbadmin.install.statements import run

revision = "0002"
down_revision = "0001"
# The oldest revision whose services still work with this one: docs/adr/0008.
oldest_served = "0001"

RESULT_COLUMNS = ("final_url", "certificate_subject", "certificate_issuer", "body_excerpt")


def upgrade() -> None:
    run("ALTER TABLE {schema}.availability_monitor_config ADD COLUMN amc_body text")
    for column in RESULT_COLUMNS:
        run("ALTER TABLE {schema}.availability_result ADD COLUMN {column} text", column=column)


def downgrade() -> None:
    for column in reversed(RESULT_COLUMNS):
        run("ALTER TABLE {schema}.availability_result DROP COLUMN {column}", column=column)
    run("ALTER TABLE {schema}.availability_monitor_config DROP COLUMN amc_body")
