"""The statements of the revisions: run, or printed for a person who wants to see them first."""

from __future__ import annotations

from typing import Any

from alembic import context
from psycopg import sql

from monitoring_core.tables import SCHEMA_VERSION_TABLE


def run(statement: str, *, column: str | None = None, oldest: str | None = None) -> None:
    """Run a statement of a revision, or print it.

    In the statement, `{schema}`, `{versions}` and `{column}` become quoted names, `{name}` becomes the schema's name as
    a text literal, and `{oldest}` the argument as a text literal.
    """
    schema = context.config.attributes["schema"]
    composed = sql.SQL(statement).format(
        schema=sql.Identifier(schema),
        versions=sql.Identifier(SCHEMA_VERSION_TABLE),
        name=sql.Literal(schema),
        column=sql.Identifier(column or ""),
        oldest=sql.Literal(oldest),
    )
    if context.is_offline_mode():
        context.get_context().impl.static_output(f"{composed.as_string().strip()};\n")
        return
    # Not through SQLAlchemy, which reads colons and percent signs as parameters.
    driver: Any = context.get_bind().connection.driver_connection
    driver.execute(composed)
