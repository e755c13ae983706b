"""Logins at status-svc can be ended before their time."""

from dbadmin.install.statements import run

revision = "0022"
down_revision = "0021"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

TABLE = """
CREATE TABLE {schema}.status_logout (
    logout_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    who text NOT NULL CHECK (length(who) <= 255),
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_by text NOT NULL DEFAULT session_user
)
"""
INDEX = "CREATE INDEX status_logout_time ON {schema}.status_logout (ended_at)"
COMMENTS = {
    "TABLE status_logout": "Whose logins at status-svc were ended: those of before do not count any more.",
    "COLUMN status_logout.logout_id": "Number of the row.",
    "COLUMN status_logout.who": "Who, by the name that the OpenID provider gives; empty for everybody.",
    "COLUMN status_logout.ended_at": "When.",
    "COLUMN status_logout.ended_by": "The account of PostgreSQL that did it; that of status-svc after a log-out.",
}


def upgrade() -> None:
    for statement in (TABLE, INDEX):
        run(statement)
    for what, text in COMMENTS.items():
        kind, name = what.split()
        run(f"COMMENT ON {kind} {{schema}}.{name} IS '{text}'")


def downgrade() -> None:
    run("DROP TABLE {schema}.status_logout")
