"""The producer's one connection to PostgreSQL, which targets and leases share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg

from monitoring_core.errors import OutageError
from monitoring_core.revision import PRODUCER_NEEDS
from monitoring_runtime.postgres import KeptConnection, composed, explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig
    from monitoring_runtime.session import Session

STATEMENT_TIMEOUT_S = 30.0


class ProducerConnection:
    """A KeptConnection, whose OutageError leaves a working producer with the targets that it has."""

    def __init__(self, config: DatabaseConfig) -> None:
        self.config = config
        self._connection = KeptConnection(
            PRODUCER_NEEDS, config, "producer-svc", statement_timeout_s=STATEMENT_TIMEOUT_S
        )

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
            yield self._connection.opened()
        except psycopg.Error as error:
            self._connection.close()
            raise OutageError(explain(error, self.config, "refuses to give the targets")) from None


def milliseconds(expression: str) -> str:
    """SQL that turns a moment into milliseconds since the epoch, rounded up: no slot before it is due."""
    return f"ceil(extract(epoch FROM {expression}) * 1000)::bigint"
