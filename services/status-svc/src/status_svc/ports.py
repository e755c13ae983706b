"""The ports: what serving needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from monitoring_core.declared.carrying import Run

T = TypeVar("T")


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


class Writer(Protocol):
    """The schema as an account sees it that may write.

    Raises, from every method: what Database raises.
    """

    async def write(self, who: str, work: Callable[[Run], T]) -> T:
        """Do something in one transaction, of which nothing remains when it raises.

        Args:
            who: in whose name; the tables write it down beside the account.
            work: is called in a thread, with what runs statements like those of Database.
        """
        ...


class Provider(Protocol):
    """An OpenID provider, which says who somebody is. Between its two methods it keeps what it needs in the session.

    Raises, from every method:
        OutageError: the provider cannot be reached, or what it says is not OpenID Connect.
    """

    async def begin(self, request: Request, back: str) -> Response:
        """The answer that sends a browser to the provider. Args: back: the URL to which it comes back."""
        ...

    async def finish(self, request: Request) -> Mapping[str, Any]:
        """The claims about whoever comes back, which are checked.

        Raises:
            UntrustedError: the provider does not vouch for this.
        """
        ...


class UntrustedError(Exception):
    """Somebody came back from a provider without what proves who it is; the text tells why, without secrets."""


class RefusedError(Exception):
    """PostgreSQL refuses a statement for what it was given.

    Attributes:
        constraint: the constraint that is violated; None for another reason.
    """

    def __init__(self, message: str, constraint: str | None) -> None:
        super().__init__(message)
        self.constraint = constraint
