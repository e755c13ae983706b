"""The producer's one connection to PostgreSQL, which targets and leases share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg

from monitoring_core.errors import OutageError
from monitoring_core.revision import PRODUCER_NEEDS
from monitoring_runtime.postgres import RevisionGuard, composed, explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig
    from monitoring_runtime.session import Session

STATEMENT_TIMEOUT_S = 30.0


class ProducerConnection:
    """Opened when it is first used, and again after a failure. Not for more than one thread at once.

    Each new connection is checked by a RevisionGuard before it is used. Its OutageError leaves a working producer with
    the targets that it has.
    """

    def __init__(self, config: DatabaseConfig) -> None:
        self.config = config
        self._guard = RevisionGuard(PRODUCER_NEEDS, config)
        self._connection: Session | None = None

    @contextlib.contextmanager
    def executed(self, statement: str, *values: object) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor that has executed a statement, in which `{name}` is a table of the schema.

        Raises:
            OutageError: PostgreSQL cannot execute it now.
            StopError: the schema does not serve this release.
        """
        with self.used() as connection, connection.transaction(), connection.cursor() as cursor:
            yield cursor.execute(composed(statement, self.config.schema), values)

    @contextlib.contextmanager
    def used(self) -> Iterator[Session]:
        """The connection. A failure of PostgreSQL in the block closes it.

        Raises:
            OutageError: there is no connection, or PostgreSQL failed in the block.
            StopError: the schema does not serve this release.
        """
        try:
            yield self._opened()
        except psycopg.Error as error:
            self._close()
            raise OutageError(explain(error, self.config, "refuses to give the targets")) from None

    def _opened(self) -> Session:
        if self._connection is None:
            self._connection = self._guard.connect("producer-svc", statement_timeout_s=STATEMENT_TIMEOUT_S)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def milliseconds(expression: str) -> str:
    """SQL that turns a moment into milliseconds since the epoch, rounded up: no slot before it is due."""
    return f"ceil(extract(epoch FROM {expression}) * 1000)::bigint"
