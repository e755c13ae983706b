"""The ports: what serving needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Database(Protocol):
    """The schema, read and written through short statements.

    In a statement `{name}` stands for the relation or the function of this name in the schema, quoted, and
    `%(name)s` for a value. Each statement is a transaction of its own.

    Raises, from every method:
        OutageError: PostgreSQL is away, or too many statements wait already.
        RefusedError: PostgreSQL refuses the statement for what it was given.
    """

    async def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """All rows of a statement, each by the names of its columns."""
        ...

    async def tuples(self, statement: str, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a statement: for many rows, because dictionaries cost more."""
        ...


class RefusedError(Exception):
    """PostgreSQL refuses a statement for what it was given.

    Attributes:
        constraint: the constraint that is violated; None for another reason.
    """

    def __init__(self, message: str, constraint: str | None) -> None:
        super().__init__(message)
        self.constraint = constraint
