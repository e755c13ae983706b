"""Alembic's entry: runs the revisions on the connection that `install.revisions` hands over, or prints them."""

from typing import Any

from alembic import context

from dbadmin.install.statements import run
from monitoring_core.tables import SCHEMA_VERSION_TABLE


def note_oldest_served(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG001 (Alembic's names)
    """Store, beside the present revision, the oldest revision whose services it still serves."""
    for revision in step.destination_revisions:
        run("ALTER TABLE {schema}.{versions} ADD COLUMN IF NOT EXISTS oldest_served text")
        run("UPDATE {schema}.{versions} SET oldest_served = {oldest}", oldest=revision.module.oldest_served)


attributes = context.config.attributes
names: dict[str, Any] = {"version_table": SCHEMA_VERSION_TABLE, "version_table_schema": attributes["schema"]}
if context.is_offline_mode():
    names |= {"dialect_name": "postgresql", "literal_binds": True, "transactional_ddl": False}
else:
    names["connection"] = attributes["connection"]
context.configure(**names, on_version_apply=note_oldest_served)
with context.begin_transaction():
    context.run_migrations()
