"""What a page must not hold, and where and how its website is connected to."""

from dbadmin.install.statements import run

revision = "0008"
down_revision = "0007"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

COLUMNS = {
    "amc_forbidden_regexp": "Regular expression (RE2) that must not match anywhere in the body; null: none.",
    "amc_connect_to": "Where the website is connected to in place of the host and port of its URL, HOST or HOST:PORT.",
    "amc_address_family": "ipv4 or ipv6: which addresses are connected to; null: both.",
}


def upgrade() -> None:
    for column, about in COLUMNS.items():
        run(f"ALTER TABLE {{schema}}.availability_monitor_config ADD COLUMN {column} text")
        run(f"COMMENT ON COLUMN {{schema}}.availability_monitor_config.{column} IS '{about}'")


def downgrade() -> None:
    for column in reversed(COLUMNS):
        run(f"ALTER TABLE {{schema}}.availability_monitor_config DROP COLUMN {column}")
