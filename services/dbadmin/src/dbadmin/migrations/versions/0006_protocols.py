"""Which protocols a check spoke."""

from dbadmin.install.statements import run

revision = "0006"
down_revision = "0005"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

COLUMNS = {
    "http_version": ("text", "HTTP version of the last answer: 1.0, 1.1 or 2."),
    "tls_version": ("text", "TLS version of the last connection that had TLS: 1.2 or 1.3."),
    "tls_resumed": ("boolean", "Whether that connection resumed the TLS session of an earlier check."),
}


def upgrade() -> None:
    for column, (kind, about) in COLUMNS.items():
        run(f"ALTER TABLE {{schema}}.availability_result ADD COLUMN {column} {kind}")
        run(f"COMMENT ON COLUMN {{schema}}.availability_result.{column} IS '{about}'")


def downgrade() -> None:
    for column in reversed(COLUMNS):
        run(f"ALTER TABLE {{schema}}.availability_result DROP COLUMN {column}")
