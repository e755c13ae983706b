"""Which way a check took, and what ends first of the trust in its website."""

from dbadmin.install.statements import run

revision = "0007"
down_revision = "0006"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

COLUMNS = {
    "redirects": ("smallint", "How many redirects were followed."),
    "addresses_tried": (
        "text",
        "When the last connection took more than one address: each that was tried, and its outcome.",
    ),
    "chain_expires_at": (
        "timestamptz",
        "The first end of the certificates from the last one seen up to an authority.",
    ),
    "chain_expires_subject": ("text", "Whom the certificate that ends first names, when it is not the own one."),
}


def upgrade() -> None:
    for column, (kind, about) in COLUMNS.items():
        run(f"ALTER TABLE {{schema}}.availability_result ADD COLUMN {column} {kind}")
        run(f"COMMENT ON COLUMN {{schema}}.availability_result.{column} IS '{about}'")


def downgrade() -> None:
    for column in reversed(COLUMNS):
        run(f"ALTER TABLE {{schema}}.availability_result DROP COLUMN {column}")
