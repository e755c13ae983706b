"""${message}"""

from dbadmin.install.statements import run

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
# The oldest revision whose services still work with this one: docs/adr/0008.
oldest_served = ${repr(up_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "..."}


def downgrade() -> None:
    ${downgrades if downgrades else "..."}
