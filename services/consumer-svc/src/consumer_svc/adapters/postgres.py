"""Results into PostgreSQL by binary COPY: straight into the table, or staged when some rows are in it already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from consumer_svc.adapters.rows import ROW_TYPES, hours, in_key_order
from consumer_svc.adapters.statements import statements
from consumer_svc.ports import RefusedError, WriteCounts
from monitoring_core.errors import OutageError
from monitoring_core.revision import CONSUMER_NEEDS
from monitoring_runtime.postgres import RevisionGuard, connect, explain, first_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import sql

    from consumer_svc.adapters.rows import Row
    from monitoring_core.config import DatabaseConfig
    from monitoring_core.result import CheckResult

_MOST_STAGED = 64


class PostgresWriter:
    """Stores batches over one connection, which is opened again after a failure.

    A real result that comes late replaces an unknown one, never the reverse (ARCHITECTURE.md, promise 2). Rows are
    written in key order: consumers that write the same rows at the same time then wait for each other, and hardly ever
    deadlock.

    Nearly every batch holds only new rows and is copied straight into the table, at 0.6 times the cost of staging it in
    a temporary table. A batch that conflicts with a row of the table is rolled back and staged. After a conflict the
    next batches are staged at once: one batch after the first conflict, then 2, 4, … up to 64, until a batch goes
    straight without a conflict.

    Every new connection checks the revision of the schema first; see RevisionGuard.

    The hours of the rows are marked in the same transaction, so that `dbadmin maintain` rolls them up again. No reader
    ever sees new rows whose hours are not marked.
    """

    def __init__(self, config: DatabaseConfig) -> None:
        self._config = config
        self._connection: psycopg.Connection[Any] | None = None
        self._guard = RevisionGuard(CONSUMER_NEEDS, config)
        self._statements = statements(config.schema)
        # How many of the next batches are staged without a try, and how many that was after the last conflict.
        self._staged_left, self._last_staged = 0, 0

    def prepare(self) -> None:
        """Connect, and check whether the schema is fit for this consumer.

        Raises:
            OutageError: PostgreSQL is away or cannot work; the same call may succeed later.
            StopError: its schema is too old or too new.
        """
        try:
            self._connect()
        except psycopg.Error as error:
            raise self._outage(error) from None

    def write(self, results: Sequence[CheckResult]) -> WriteCounts:
        """Store results in one transaction.

        Raises:
            OutageError: PostgreSQL is away or cannot work; the same call may succeed later.
            RefusedError: PostgreSQL refuses what is in the results.
        """
        try:
            connection, rows = self._connect(), in_key_order(results)
            try:
                stored, replaced = self._store(connection, rows)
            except psycopg.errors.CheckViolation:
                # The rows' day may have got its partition while they were going into the default partition. Then the
                # second try succeeds; if the rows themselves are at fault, it fails in the same way.
                stored, replaced = self._store(connection, rows)
            return WriteCounts(stored, replaced, len(results) - stored - replaced)
        except (psycopg.DataError, psycopg.IntegrityError, ValueError, OverflowError) as error:
            raise RefusedError(first_line(error)) from None
        except psycopg.Error as error:
            raise self._outage(error) from None

    def rows_by_default(self) -> int:
        """How many rows are in the default partition, because their day has no partition of its own; 1,000 at most.

        Raises:
            OutageError: PostgreSQL is away or refuses.
        """
        try:
            row = self._connect().execute(self._statements.count_by_default).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0  # TimescaleDB makes a chunk for any day, and has no default partition
        except psycopg.Error as error:
            raise self._outage(error) from None
        return int(row[0]) if row else 0

    def _store(self, connection: psycopg.Connection[Any], rows: list[Row]) -> tuple[int, int]:
        """Store rows straight, or else staged; returns how many were stored and how many replaced others."""
        return self._store_straight(connection, rows) or self._store_staged(connection, rows)

    def _store_straight(self, connection: psycopg.Connection[Any], rows: list[Row]) -> tuple[int, int] | None:
        """Copy rows into the table. None when the batch must be staged: after conflicts, or for a key in the table."""
        if self._staged_left:
            self._staged_left -= 1
            return None
        try:
            with connection.transaction(), connection.cursor() as cursor:
                _copy(cursor, self._statements.copy, rows)
                cursor.execute(self._statements.mark_hours, (hours(rows),))
        except psycopg.errors.UniqueViolation:
            self._staged_left = self._last_staged = min(2 * self._last_staged or 1, _MOST_STAGED)
            return None
        self._last_staged = 0
        return len(rows), 0

    def _store_staged(self, connection: psycopg.Connection[Any], rows: list[Row]) -> tuple[int, int]:
        """Copy rows into the staging table, and merge them into the table from there."""
        with connection.transaction(), connection.cursor() as cursor:
            _copy(cursor, self._statements.copy_staged, rows)
            stored = cursor.execute(self._statements.insert_new).rowcount
            # Only a row that was not inserted can have met an unknown one.
            replaced = cursor.execute(self._statements.replace_unknown).rowcount if stored < len(rows) else 0
            if stored or replaced:
                cursor.execute(self._statements.mark_hours, (hours(rows),))
            return stored, replaced

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            connection = connect(self._config, "consumer-svc", autocommit=True)
            try:
                self._guard.check(connection)
                connection.execute(self._statements.create_staging)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _outage(self, error: psycopg.Error) -> OutageError:
        """Close the connection, and return the error in plain words."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return OutageError(explain(error, self._config, "cannot store results"))


def _copy(cursor: psycopg.Cursor[Any], statement: sql.Composed, rows: list[Row]) -> None:
    with cursor.copy(statement) as copy:
        copy.set_types(ROW_TYPES)
        for row in rows:
            copy.write_row(row)
