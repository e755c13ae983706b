"""What maintain did and when, which tables it may drop, and from when on it was asked to compute anew."""

from dbadmin.install.statements import run

revision = "0012"
down_revision = "0011"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

TABLES = (
    """
CREATE TABLE {schema}.maintain_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stepped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    outcome text,
    problem text
)
""",
    """
CREATE TABLE {schema}.maintain_table (
    relation oid PRIMARY KEY,
    name text NOT NULL
)
""",
    # Older releases detached the partitions of these names, and may have been killed before they dropped them.
    """
INSERT INTO {schema}.maintain_table SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE n.nspname = {name} AND c.relkind = 'r' AND NOT c.relispartition
AND c.relname ~ '^availability_result_expired_[0-9]+$'
""",
    "ALTER TABLE {schema}.availability_progress ADD COLUMN anew_from timestamptz",
)
COMMENTS = {
    "TABLE {schema}.maintain_run": "The latest runs of dbadmin maintain.",
    "COLUMN {schema}.maintain_run.run_id": "Number of the run.",
    "COLUMN {schema}.maintain_run.began_at": "When the run began.",
    "COLUMN {schema}.maintain_run.stepped_at": "When the run last finished a step.",
    "COLUMN {schema}.maintain_run.ended_at": "When the run ended; null while it works, or when it was killed.",
    "COLUMN {schema}.maintain_run.outcome": (
        "done, time_limit (done as far as its time allowed), failed, or locked_out (another run was at work); null "
        "while it works, or when it was killed."
    ),
    "COLUMN {schema}.maintain_run.problem": "Why the run failed.",
    "TABLE {schema}.maintain_table": (
        "Tables that dbadmin maintain may drop, because it detached them itself or made them to move rows. It drops no "
        "other table, whatever its name."
    ),
    "COLUMN {schema}.maintain_table.relation": "Identifier of the table in PostgreSQL (pg_class.oid).",
    "COLUMN {schema}.maintain_table.name": "Name of the table when maintain detached or made it.",
    "COLUMN {schema}.availability_progress.anew_from": (
        "From this moment on, hours are rolled up from the rows that there are, also when rows have left; set by "
        "dbadmin maintain --since until it is done."
    ),
}


def upgrade() -> None:
    for statement in TABLES:
        run(statement)
    for what, text in COMMENTS.items():
        run(f"COMMENT ON {what} IS '{text}'")


def downgrade() -> None:
    run("ALTER TABLE {schema}.availability_progress DROP COLUMN anew_from")
    run("DROP TABLE {schema}.maintain_table")
    run("DROP TABLE {schema}.maintain_run")
