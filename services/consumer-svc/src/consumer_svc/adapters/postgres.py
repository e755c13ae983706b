"""Results into PostgreSQL by binary COPY: straight into the table, or staged when some rows are in it already."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from consumer_svc.adapters.positions import Positions
from consumer_svc.adapters.rows import ROW_TYPES, hours, in_key_order
from consumer_svc.adapters.statements import statements
from consumer_svc.ports import RefusedError, WriteCounts
from monitoring_core.errors import OutageError, StopError
from monitoring_core.revision import CONSUMER_NEEDS
from monitoring_runtime.postgres import KeptConnection, explain, first_line
from monitoring_runtime.sqlstates import Fate, fate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg import sql

    from consumer_svc.adapters.rows import Row
    from consumer_svc.places import Asked, Places, Progress
    from monitoring_core.config import DatabaseConfig
    from monitoring_core.result import CheckResult
    from monitoring_runtime.session import Session
    from monitoring_runtime.topics import TopicState

_MOST_STAGED = 64


class PostgresWriter:
    """Stores batches over one KeptConnection, which a failure closes.

    A real result that comes late replaces an unknown one, never the reverse (ARCHITECTURE.md, promise 2). Rows are
    written in key order: consumers that write the same rows at the same time then wait for each other, and hardly ever
    deadlock.

    Nearly every batch holds only new rows and is copied straight into the table, at 0.6 times the cost of staging it in
    a temporary table. A batch that conflicts with a row of the table is rolled back and staged. After a conflict the
    next batches are staged at once: one batch after the first conflict, then 2, 4, … up to 64, until a batch goes
    straight without a conflict.

    The hours of the rows are marked in the same transaction, so that `dbadmin maintain` rolls them up again. No reader
    ever sees new rows whose hours are not marked.
    """

    def __init__(self, config: DatabaseConfig) -> None:
        self._config = config
        self._connection = KeptConnection(CONSUMER_NEEDS, config, "consumer-svc")
        self._statements = statements(config.schema)
        self._positions = Positions(config.schema)
        # How many of the next batches are staged without a try, and how many that was after the last conflict.
        self._staged_left, self._last_staged = 0, 0

    def prepare(self) -> None:
        """Connect, and check whether the schema is fit for this consumer.

        Raises:
            OutageError: PostgreSQL is away or cannot work; the same call may succeed later.
            StopError: its schema is too old or too new.
        """
        try:
            self._connection.opened()
        except psycopg.Error as error:
            raise self._outage(error) from None

    def place(self, state: TopicState, asked: Asked) -> Places:
        """From which offsets partitions are to be read, so that all that is not stored, and Kafka has, is read.

        Raises:
            OutageError: PostgreSQL is away or cannot work; the same call may succeed later.
        """
        try:
            connection = self._connection.opened()
            with connection.transaction(), connection.cursor() as cursor:
                return self._positions.place(cursor, state, asked)
        except psycopg.Error as error:
            raise self._outage(error) from None

    def write(self, results: Sequence[CheckResult], progress: Progress | None = None) -> WriteCounts:
        """Store results, and how far each partition is stored with them, in one transaction.

        Raises:
            BehindError: the database lacks what was stored before.
            OutageError: PostgreSQL is away or cannot work; the same call may succeed later.
            RefusedError: PostgreSQL refuses what is in the results.
            StopError: this program is at fault.
        """
        try:
            connection, rows = self._connection.opened(), in_key_order(results)
            try:
                stored, replaced = self._store(connection, rows, progress)
            except psycopg.errors.CheckViolation:
                # The rows' day may have got its partition while they were going into the default partition. Then the
                # second try succeeds; if the rows themselves are at fault, it fails in the same way.
                stored, replaced = self._store(connection, rows, progress)
            return WriteCounts(stored, replaced, len(results) - stored - replaced)
        except (ValueError, OverflowError) as error:  # psycopg cannot write a value in binary
            raise RefusedError(first_line(error)) from None
        except _AroundError as error:
            raise self._failure(error.cause, of_rows=False) from None
        except psycopg.Error as error:
            raise self._failure(error) from None

    def rows_by_default(self) -> int:
        """How many rows are in the default partition, because their day has no partition of its own; 1,000 at most.

        Raises:
            OutageError: PostgreSQL is away or refuses.
        """
        try:
            connection = self._connection.opened()
            with connection.transaction():
                row = connection.execute(self._statements.count_by_default).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0  # TimescaleDB makes a chunk for any day, and has no default partition
        except psycopg.Error as error:
            raise self._outage(error) from None
        return int(row[0]) if row else 0

    def _store(self, connection: Session, rows: list[Row], progress: Progress | None) -> tuple[int, int]:
        """Store rows straight, or else staged; returns how many were stored and how many replaced others."""
        return self._store_straight(connection, rows, progress) or self._store_staged(connection, rows, progress)

    def _store_straight(
        self, connection: Session, rows: list[Row], progress: Progress | None
    ) -> tuple[int, int] | None:
        """Copy rows into the table. None when the batch must be staged: after conflicts, or for a key in the table."""
        if self._staged_left:
            self._staged_left -= 1
            return None
        try:
            with connection.transaction(), connection.cursor() as cursor:
                if rows:
                    _copy(cursor, self._statements.copy, rows)
                self._note(cursor, rows, progress)
        except psycopg.errors.UniqueViolation:
            self._staged_left = self._last_staged = min(2 * self._last_staged or 1, _MOST_STAGED)
            return None
        self._last_staged = 0
        return len(rows), 0

    def _store_staged(self, connection: Session, rows: list[Row], progress: Progress | None) -> tuple[int, int]:
        """Copy rows into the staging table, and merge them into the table from there."""
        with connection.transaction(), connection.cursor() as cursor:
            # Only for this transaction: through a pool, the next one may be in another session.
            with _blaming_no_row():
                cursor.execute(self._statements.create_staging)
            _copy(cursor, self._statements.copy_staged, rows)
            stored = cursor.execute(self._statements.insert_new).rowcount
            # Only a row that was not inserted can have met an unknown one.
            replaced = cursor.execute(self._statements.replace_unknown).rowcount if stored < len(rows) else 0
            self._note(cursor, rows if stored or replaced else [], progress)
            return stored, replaced

    def _note(self, cursor: psycopg.Cursor[Any], rows: list[Row], progress: Progress | None) -> None:
        """Mark the hours of rows that were stored, and note how far the batch comes."""
        with _blaming_no_row():
            if rows:
                cursor.execute(self._statements.mark_hours, (hours(rows),))
            if progress:
                self._positions.advance(cursor, progress)

    def _failure(self, error: psycopg.Error, *, of_rows: bool = True) -> Exception:
        """What to raise when rows cannot be written; `of_rows`: whether their values may be at fault."""
        match fate(error):
            case Fate.SET_ASIDE if of_rows:
                return RefusedError(first_line(error))
            case Fate.STOP:
                return StopError(explain(error, self._config, "cannot store results"))
        return self._outage(error)

    def _outage(self, error: psycopg.Error) -> OutageError:
        """Close the connection, and return the error in plain words."""
        self._connection.close()
        return OutageError(explain(error, self._config, "cannot store results"))


class _AroundError(Exception):
    """A statement that holds no value of a row failed: whatever its error is, no row is at fault."""

    def __init__(self, cause: psycopg.Error) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def _blaming_no_row() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise _AroundError(error) from None


def _copy(cursor: psycopg.Cursor[Any], statement: sql.Composed, rows: list[Row]) -> None:
    with cursor.copy(statement) as copy:
        copy.set_types(ROW_TYPES)
        for row in rows:
            copy.write_row(row)
