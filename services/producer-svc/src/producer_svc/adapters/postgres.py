"""Targets and leases in PostgreSQL."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from monitoring_core.errors import OutageError, StopError
from monitoring_core.revision import PRODUCER_NEEDS, QUERY, why_unfit
from monitoring_core.tables import (
    ACTIVE_SINCE_COLUMN,
    LEASE_TABLE,
    SCHEMA_VERSION_TABLE,
    TARGET_COLUMNS,
    TARGET_TABLE,
    TARGET_VERSION_TABLE,
)
from monitoring_core.target import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig

STATEMENT_TIMEOUT_MS = 30_000
_ROWS_A_FETCH = 5_000
_MS = "(extract(epoch FROM {}) * 1000)::bigint"
_EXPIRES = "clock_timestamp() + make_interval(secs => %s)"


class PostgresRegistry:
    """Reads targets and keeps a lease over one connection, which is opened again after a failure.

    Leases run by PostgreSQL's clock, so that those of the producers do not matter.

    Every connection looks at the schema's revision first. Until one has found a fit one, another is a reason to stop;
    after that it is an outage: a producer that works keeps what it has.
    """

    def __init__(self, config: DatabaseConfig, location: str, holder: str) -> None:
        self._config = config
        self._location = location
        self._holder = holder
        self._connection: psycopg.Connection[Any] | None = None
        self._was_fit = False

    def version(self) -> tuple[int, int]:
        """A number that changes with the targets, and the moment at which it was read."""
        with self._executed(
            f"SELECT (SELECT version FROM {{versions}}), {_MS.format('clock_timestamp()')}"  # noqa: S608 (constants)
        ) as cursor:
            row = cursor.fetchone()
        if row is None or row[0] is None:
            raise OutageError(f"{self._where}: table {TARGET_VERSION_TABLE} is empty: run dbadmin create-schema")
        return int(row[0]), int(row[1])

    def count_active(self) -> int:
        """How many targets are active."""
        with self._executed("SELECT count(*) FROM {targets} WHERE amc_active") as cursor:
            ((count,),) = cursor.fetchall()
        return int(count)

    def read(self, ranks: range) -> Iterator[tuple[TargetRecord, int]]:
        """The active targets of these zero-based ranks, in order of id, and since when each is active as it is."""
        columns = sql.SQL(", ").join(map(sql.Identifier, TARGET_COLUMNS.values()))
        query = sql.SQL("SELECT {}, {} FROM {} WHERE amc_active ORDER BY amc_id OFFSET {} LIMIT {}").format(
            columns,
            sql.SQL(_MS.format(ACTIVE_SINCE_COLUMN)),
            sql.Identifier(self._config.schema, TARGET_TABLE),
            sql.Literal(ranks.start),
            sql.Literal(len(ranks)),
        )
        # A cursor of the server: a hundred thousand rows at once would take as much memory as the producer has.
        with self._outages() as connection, connection.transaction(), connection.cursor("targets") as cursor:
            cursor.itersize = _ROWS_A_FETCH
            cursor.execute(query)
            for *fields, active_since_ms in cursor:
                yield TargetRecord(**dict(zip(TARGET_COLUMNS, fields, strict=True))), int(active_since_ms)

    def acquire(self, producer_id: int, lease_s: float) -> int | None:
        """Take an ID that nobody holds: the moment up to which its slots are accounted for; None when it is held."""
        statement = (
            "INSERT INTO {leases} AS old (location, producer_id, holder, expires_at, accounted_until) "  # noqa: S608
            f"VALUES (%s, %s, %s, {_EXPIRES}, clock_timestamp()) ON CONFLICT (location, producer_id) DO UPDATE "
            "SET holder = excluded.holder, expires_at = excluded.expires_at "
            "WHERE old.expires_at <= clock_timestamp() OR old.holder = excluded.holder "
            f"RETURNING {_MS.format('accounted_until')}"
        )
        with self._executed(statement, self._location, producer_id, self._holder, lease_s) as cursor:
            row = cursor.fetchone()
        return int(row[0]) if row else None

    def renew(self, producer_id: int, accounted_until_ms: int, lease_s: float) -> bool:
        """Go on holding an ID; False when somebody else has it."""
        return self._update(_EXPIRES, lease_s, producer_id, accounted_until_ms)

    def release(self, producer_id: int, accounted_until_ms: int) -> None:
        """Give an ID back."""
        self._update(_EXPIRES, 0.0, producer_id, accounted_until_ms)

    def free(self, needed: int, limit: int) -> list[int]:
        """The lowest IDs up to `needed` that nobody holds."""
        with self._executed(
            "SELECT id FROM generate_series(1, %s) AS id WHERE NOT EXISTS (SELECT FROM {leases} "
            "WHERE location = %s AND producer_id = id AND expires_at > clock_timestamp()) ORDER BY id LIMIT %s",
            needed,
            self._location,
            limit,
        ) as cursor:
            return [int(row[0]) for row in cursor.fetchall()]

    def unheld_since(self, look_back_s: float) -> int | None:
        """The earliest moment, at most so long ago, up to which an ID that nobody holds is accounted for."""
        with self._executed(
            f"SELECT {_MS.format('min(accounted_until)')} FROM {{leases}} WHERE location = %s "  # noqa: S608 (constants)
            "AND expires_at <= clock_timestamp() AND accounted_until > clock_timestamp() - make_interval(secs => %s)",
            self._location,
            look_back_s,
        ) as cursor:
            ((moment_ms,),) = cursor.fetchall()
        return None if moment_ms is None else int(moment_ms)

    def holder(self, producer_id: int) -> str | None:
        """Who holds an ID, for a person."""
        with self._executed(
            "SELECT holder FROM {leases} WHERE location = %s AND producer_id = %s",
            self._location,
            producer_id,
        ) as cursor:
            row = cursor.fetchone()
        return str(row[0]) if row else None

    def _update(self, expires: str, lease_s: float, producer_id: int, accounted_until_ms: int) -> bool:
        with self._executed(
            f"UPDATE {{leases}} SET expires_at = {expires}, "  # noqa: S608
            "accounted_until = greatest(accounted_until, to_timestamp(%s / 1000.0)) "
            "WHERE location = %s AND producer_id = %s AND holder = %s",
            lease_s,
            accounted_until_ms,
            self._location,
            producer_id,
            self._holder,
        ) as cursor:
            return cursor.rowcount == 1

    @contextlib.contextmanager
    def _executed(self, statement: str, *values: object) -> Iterator[psycopg.Cursor[Any]]:
        schema = self._config.schema
        query = sql.SQL(statement).format(
            leases=sql.Identifier(schema, LEASE_TABLE),
            targets=sql.Identifier(schema, TARGET_TABLE),
            versions=sql.Identifier(schema, TARGET_VERSION_TABLE),
        )
        with self._outages() as connection, connection.cursor() as cursor:
            yield cursor.execute(query, values)

    @contextlib.contextmanager
    def _outages(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            yield self._connect()
        except psycopg.Error as error:
            self._disconnect()
            raise OutageError(self._explain(error)) from None

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            parameters = self._config.connection_parameters("producer-svc")
            self._connection = psycopg.connect(
                make_conninfo(**parameters, options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"), autocommit=True
            )
            self._look_at_the_revision(self._connection)
        return self._connection

    def _look_at_the_revision(self, connection: psycopg.Connection[Any]) -> None:
        schema = self._config.schema
        query = sql.SQL(QUERY).format(versions=sql.Identifier(schema, SCHEMA_VERSION_TABLE))
        present, oldest_served = connection.execute(query).fetchone() or (None, None)
        if why := why_unfit(PRODUCER_NEEDS, present, oldest_served, schema):
            self._disconnect()
            raise (OutageError if self._was_fit else StopError)(f"{self._where}, {why}")
        self._was_fit = True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _where(self) -> str:
        return f"PostgreSQL at {self._config.address}"

    def _explain(self, error: psycopg.Error) -> str:
        if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            schema = self._config.schema
            what = f"database {self._config.database} has not all tables of schema {schema}"
            return f"{self._where}, {what}: run dbadmin create-schema"
        lines = str(error).strip().splitlines() or [type(error).__name__]
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            _, refused, why = lines[0].partition("FATAL:  ")
            if refused:
                return f"{self._where} refuses the connection: {why}"
            return f"{self._where} cannot be reached: {lines[0].rpartition('failed: ')[2]}"
        mend = " (run dbadmin create-roles)" if isinstance(error, psycopg.errors.InsufficientPrivilege) else ""
        return f"{self._where} refuses to give the targets: {lines[0]}{mend}"
