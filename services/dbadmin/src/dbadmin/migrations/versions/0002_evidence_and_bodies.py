"""What a failed check saw, and the bodies that targets send."""

from typing import Any

from alembic import context, op
from psycopg import sql

revision = "0002"
down_revision = "0001"

RESULT_COLUMNS = ("final_url", "certificate_subject", "certificate_issuer", "body_excerpt")


def run(statement: str, **names: str) -> None:
    identifiers = {"schema": context.config.attributes["schema"], **names}
    driver: Any = op.get_bind().connection.driver_connection
    driver.execute(sql.SQL(statement).format(**{name: sql.Identifier(value) for name, value in identifiers.items()}))


def upgrade() -> None:
    run("ALTER TABLE {schema}.availability_monitor_config ADD COLUMN amc_body text")
    for column in RESULT_COLUMNS:
        run("ALTER TABLE {schema}.availability_result ADD COLUMN {column} text", column=column)


def downgrade() -> None:
    for column in reversed(RESULT_COLUMNS):
        run("ALTER TABLE {schema}.availability_result DROP COLUMN {column}", column=column)
    run("ALTER TABLE {schema}.availability_monitor_config DROP COLUMN amc_body")
