"""Results into PostgreSQL by binary COPY: straight into the table, or aside when some are there already."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from consumer_svc.ports import RefusedError, WriteCounts
from monitoring_core.errors import OutageError, StopError
from monitoring_core.result import Status
from monitoring_core.revision import CONSUMER_NEEDS, QUERY, why_unfit
from monitoring_core.tables import (
    DIRTY_HOUR_TABLE,
    RESULT_COLUMNS,
    RESULT_DEFAULT_TABLE,
    RESULT_KEY,
    RESULT_TABLE,
    SCHEMA_VERSION_TABLE,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_core.config import DatabaseConfig
    from monitoring_core.result import CheckResult

_TYPES = {"integer": "int4", "bigint": "int8", "smallint": "int2", "real": "float4", "boolean": "bool"}
_LONGEST_ASIDE = 64
_Row = tuple[object, ...]
_key = attrgetter(*RESULT_KEY)
_slot = itemgetter(list(RESULT_COLUMNS).index("scheduled_at"))


class PostgresWriter:
    """Stores batches over one connection, which is opened again after a failure.

    A real result that comes late replaces an unknown one, never the reverse (ARCHITECTURE.md, promise 2). Rows are
    written in key order, so that consumers that write the same rows at once wait for each other and hardly deadlock.

    Nearly every batch holds new rows alone and is copied straight into the table, which costs 0.6 times as much as by
    way of a temporary one. A batch that meets a row of the same key is rolled back and goes that way, and so do the
    next batches: one after the first such conflict, then 2, 4, … up to 64, until one goes straight without conflict.

    Every connection looks at the schema's revision first. Until one has found a fit one, another is a reason to stop;
    after that it is an outage: results wait in Kafka.

    The hours of the rows are noted in the same transaction, for `dbadmin maintain` to roll them up anew: with the rows
    appears what says that they are not rolled up.
    """

    def __init__(self, config: DatabaseConfig) -> None:
        self._config = config
        self._connection: psycopg.Connection[Any] | None = None
        self._copy_in, self._copy_aside, self._insert, self._replace = _statements(config.schema)
        self._mark = sql.SQL("INSERT INTO {} SELECT unnest(%s::timestamptz[])").format(
            sql.Identifier(config.schema, DIRTY_HOUR_TABLE)
        )
        # How many batches more go aside, and how many did after the last conflict.
        self._aside, self._last_aside = 0, 0
        self._was_fit = False

    def prepare(self) -> None:
        """Connect, and look whether the schema is fit for this consumer.

        Raises:
            OutageError: PostgreSQL is away or cannot work; the same call may succeed later.
            StopError: its schema is too old or too new.
        """
        try:
            self._connect()
        except psycopg.Error as error:
            self._disconnect()
            raise OutageError(self._explain(error)) from None

    def write(self, results: Sequence[CheckResult]) -> WriteCounts:
        """Store results in one transaction.

        Raises:
            OutageError: PostgreSQL is away or cannot work; the same call may succeed later.
            RefusedError: PostgreSQL refuses what is in the results.
        """
        try:
            connection, rows = self._connect(), [result.row for result in _in_key_order(results)]
            try:
                stored, replaced = self._store(connection, rows)
            except psycopg.errors.CheckViolation:
                # Perhaps the day of rows on their way to the default partition got one of its own meanwhile, which is
                # over; what is wrong with the rows themselves is so the second time too.
                stored, replaced = self._store(connection, rows)
            return WriteCounts(stored, replaced, len(results) - stored - replaced)
        except (psycopg.DataError, psycopg.IntegrityError, ValueError, OverflowError) as error:
            raise RefusedError(_first_line(error)) from None
        except psycopg.Error as error:
            self._disconnect()
            raise OutageError(self._explain(error)) from None

    def rows_by_default(self) -> int:
        """How many rows are in the default partition, because their day has none of its own; 1,000 at most.

        Raises:
            OutageError: PostgreSQL is away or refuses.
        """
        table = sql.Identifier(self._config.schema, RESULT_DEFAULT_TABLE)
        query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT 1000) AS found").format(table)
        try:
            row = self._connect().execute(query).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0  # database.timeseries: timescaledb makes chunks of its own for whatever comes
        except psycopg.Error as error:
            self._disconnect()
            raise OutageError(self._explain(error)) from None
        return int(row[0]) if row else 0

    def _store(self, connection: psycopg.Connection[Any], rows: list[_Row]) -> tuple[int, int]:
        return self._store_straight(connection, rows) or self._store_aside(connection, rows)

    def _store_straight(self, connection: psycopg.Connection[Any], rows: list[_Row]) -> tuple[int, int] | None:
        """Rows stored and replaced; None when this is no time for it, or a row is there already."""
        if self._aside:
            self._aside -= 1
            return None
        try:
            with connection.transaction(), connection.cursor() as cursor:
                _copy(cursor, self._copy_in, rows)
                cursor.execute(self._mark, (_hours(rows),))
        except psycopg.errors.UniqueViolation:
            self._aside = self._last_aside = min(2 * self._last_aside or 1, _LONGEST_ASIDE)
            return None
        self._last_aside = 0
        return len(rows), 0

    def _store_aside(self, connection: psycopg.Connection[Any], rows: list[_Row]) -> tuple[int, int]:
        """Rows stored and replaced."""
        with connection.transaction(), connection.cursor() as cursor:
            _copy(cursor, self._copy_aside, rows)
            stored = cursor.execute(self._insert).rowcount
            # Only a batch that met a row can have met an unknown one.
            replaced = cursor.execute(self._replace).rowcount if stored < len(rows) else 0
            if stored or replaced:
                cursor.execute(self._mark, (_hours(rows),))
            return stored, replaced

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            parameters = self._config.connection_parameters("consumer-svc")
            connection: psycopg.Connection[Any] = psycopg.connect(make_conninfo(**parameters), autocommit=True)
            columns = sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in RESULT_COLUMNS.items()
            )
            try:
                self._look_at_the_revision(connection)
                connection.execute(sql.SQL("CREATE TEMP TABLE batch ({}) ON COMMIT DELETE ROWS").format(columns))
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _look_at_the_revision(self, connection: psycopg.Connection[Any]) -> None:
        schema = self._config.schema
        query = sql.SQL(QUERY).format(versions=sql.Identifier(schema, SCHEMA_VERSION_TABLE))
        present, oldest_served = connection.execute(query).fetchone() or (None, None)
        if why := why_unfit(CONSUMER_NEEDS, present, oldest_served, schema):
            where = f"PostgreSQL at {self._config.address}"
            raise (OutageError if self._was_fit else StopError)(f"{where}, {why}")
        self._was_fit = True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _explain(self, error: psycopg.Error) -> str:
        where = f"PostgreSQL at {self._config.address}"
        line = _first_line(error)
        if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            name = DIRTY_HOUR_TABLE if DIRTY_HOUR_TABLE in line else RESULT_TABLE
            table = f"{self._config.schema}.{name}"
            return f"{where}, database {self._config.database} has no table {table}: run dbadmin create-schema"
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            _, refused, why = line.partition("FATAL:  ")
            if refused:
                return f"{where} refuses the connection: {why}"
            return f"{where} cannot be reached: {line.rpartition('failed: ')[2]}"
        mend = " (run dbadmin create-roles)" if isinstance(error, psycopg.errors.InsufficientPrivilege) else ""
        return f"{where} cannot store results: {line}{mend}"


def _copy(cursor: psycopg.Cursor[Any], statement: sql.Composed, rows: list[_Row]) -> None:
    with cursor.copy(statement) as copy:
        copy.set_types([_TYPES.get(kind, kind) for kind in RESULT_COLUMNS.values()])
        for row in rows:
            copy.write_row(row)


def _hours(rows: list[_Row]) -> list[dt.datetime]:
    """The hours (UTC) that the rows are of. Most batches are of one, which their first and last slots tell."""
    slots: list[Any] = list(map(_slot, rows))
    first, last = _hour(min(slots)), _hour(max(slots))
    return [first] if first == last else list(set(map(_hour, slots)))


def _hour(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def _in_key_order(results: Sequence[CheckResult]) -> list[CheckResult]:
    """One result of each key, a real one if there is any. Sorting here costs a fifth of what it costs PostgreSQL."""
    ordered = sorted(results, key=_key)
    if not any(one.target_id == next_.target_id and one.key == next_.key for one, next_ in pairwise(ordered)):
        return ordered
    by_key: dict[tuple[object, ...], CheckResult] = {}
    for result in ordered:
        known = by_key.setdefault(result.key, result)
        if known.status is Status.UNKNOWN:
            by_key[result.key] = result
    return list(by_key.values())


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _statements(schema: str) -> tuple[sql.Composed, sql.Composed, sql.Composed, sql.Composed]:
    """Copy into the table; copy aside; insert what is new of that; replace what is unknown by what is not."""
    key = sql.SQL(", ").join(map(sql.Identifier, RESULT_KEY))
    values = [name for name in RESULT_COLUMNS if name not in RESULT_KEY]
    insert = sql.SQL(
        "INSERT INTO {table} AS old ({columns}) SELECT {columns} FROM pg_temp.batch {which} "
        "ON CONFLICT ({key}) DO {what}"
    )
    parts = {
        "table": sql.Identifier(schema, RESULT_TABLE),
        "columns": sql.SQL(", ").join(map(sql.Identifier, RESULT_COLUMNS)),
        "key": key,
    }
    update = sql.SQL("UPDATE SET ({changed}) = ROW({excluded}) WHERE old.status = 'unknown'").format(
        changed=sql.SQL(", ").join(map(sql.Identifier, values)),
        excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in values),
    )
    copy = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT binary)")
    return (
        copy.format(table=parts["table"], columns=parts["columns"]),
        copy.format(table=sql.Identifier("pg_temp", "batch"), columns=parts["columns"]),
        insert.format(which=sql.SQL(""), what=sql.SQL("NOTHING"), **parts),
        insert.format(which=sql.SQL("WHERE status <> 'unknown'"), what=update, **parts),
    )
