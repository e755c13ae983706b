"""Statements on PostgreSQL from threads, each with a connection of its own (docs/adr/0019, 0020)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.rows import dict_row, tuple_row

from monitoring_core.errors import OutageError
from monitoring_core.revision import STATUS_NEEDS
from monitoring_runtime.postgres import RevisionGuard, composed, explain
from monitoring_runtime.sqlstates import Fate, fate
from status_svc.ports import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg.rows import RowFactory

    from monitoring_core.config import DatabaseConfig
    from monitoring_core.declared.carrying import Run
    from monitoring_runtime.session import Session
    from status_svc.metrics import Metrics

T = TypeVar("T")
STATEMENT_TIMEOUT_S = 10.0
# More than this many wait for a thread: whoever comes then is told to come again, instead of waiting for long.
WAITING_A_THREAD = 32


class PostgresDatabase:
    """Statements in as many threads as there are connections, each of which is opened when it is first used.

    Every new connection checks the revision of the schema first; see RevisionGuard.
    """

    def __init__(self, config: DatabaseConfig, size: int, metrics: Metrics) -> None:
        """Args: size: the most connections."""
        self._config = config
        self._metrics = metrics
        self._guard = RevisionGuard(STATUS_NEEDS, config)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="database")
        self._most = size * (1 + WAITING_A_THREAD)
        self._present = 0
        self._local = threading.local()

    async def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """What status_svc.ports.Database.rows promises."""
        return await self._in_thread(lambda connection: self._all(connection, statement, values, dict_row))

    async def tuples(self, statement: str, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """What status_svc.ports.Database.tuples promises."""
        return await self._in_thread(lambda connection: self._all(connection, statement, values, tuple_row))

    async def write(self, who: str, work: Callable[[Run], T]) -> T:
        """What status_svc.ports.Writer.write promises."""

        def written(connection: Session) -> T:
            # The defaults of the columns that say who (revision 0018) read this setting.
            connection.execute("SELECT set_config('monitoring.actor', %s, true)", (who,))
            return work(lambda statement, values: self._all(connection, statement, values, dict_row))

        return await self._in_thread(written)

    def close(self) -> None:
        """End all threads, after the statements that they are at; no statement may follow."""
        self._threads.shutdown(cancel_futures=True)

    async def _in_thread(self, job: Callable[[Session], T]) -> T:
        if self._present >= self._most:
            raise OutageError("too many statements wait for PostgreSQL (see status.pool_size)")
        self._present += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._in_transaction, job)
        finally:
            self._present -= 1

    def _in_transaction(self, job: Callable[[Session], T]) -> T:
        try:
            connection = self._connection()
            with connection.transaction():
                return job(connection)
        except psycopg.Error as error:
            if (why := fate(error)) is Fate.SET_ASIDE:
                raise RefusedError(error.diag.message_primary or "refused", error.diag.constraint_name) from None
            if why is Fate.STOP:
                raise
            self._metrics.outages.inc()
            self._disconnect()
            raise OutageError(explain(error, self._config, "cannot serve the status")) from None

    def _all(
        self,
        connection: Session,
        statement: str,
        values: Mapping[str, object] | None,
        factory: RowFactory[Any],
    ) -> list[Any]:
        with connection.cursor(row_factory=factory) as cursor:
            self._metrics.statements.inc()
            cursor.execute(composed(statement, self._config.schema), values)
            return cursor.fetchall() if cursor.description else []

    def _connection(self) -> Session:
        connection: Session | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            connection = self._guard.connect("status-svc", statement_timeout_s=STATEMENT_TIMEOUT_S)
            self._local.connection = connection
        return connection

    def _disconnect(self) -> None:
        connection: Session | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()
