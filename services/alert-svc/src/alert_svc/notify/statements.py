"""The statements of the outbox, with the names of the schema in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from alert_svc.notify.message import Alert
from alert_svc.rows import COLUMNS, by_name
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Sequence

# What is told. Suspicions and recoveries that are not complete are not.
TOLD_STATES = ["firing", "resolved", "undetermined", "flapping"]


class Statements:
    """Makes statements for a schema, in which `{name}` is a table or view.

    But `{alert}` stands for the columns of an alert, and `{group}` for the values of the labels grouped by.
    """

    def __init__(self, schema: str, by: Sequence[str] = ()) -> None:
        self._schema = schema
        self._group = f"jsonb_build_array({', '.join(f'a.labels ->> {_literal(name)}' for name in by)})"

    def __getitem__(self, statement: str) -> str:
        return composed(statement.replace("{alert}", COLUMNS).replace("{group}", self._group), self._schema)


def alert_of(row: Sequence[Any]) -> Alert:
    """The alert of the columns `{alert}`."""
    return Alert(**by_name(row))


def _literal(text: str) -> str:
    """Text as a literal in a statement, where percent signs and braces have a meaning."""
    literal = sql.Literal(text).as_string()
    return literal.replace("%", "%%").replace("{", "{{").replace("}", "}}")
