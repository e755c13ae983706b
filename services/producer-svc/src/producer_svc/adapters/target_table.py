"""Targets in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from monitoring_core.errors import OutageError
from monitoring_core.tables import ACTIVE_SINCE_COLUMN, TARGET_COLUMNS, TARGET_TABLE, TARGET_VERSION_TABLE
from monitoring_core.targets import TargetRecord
from monitoring_runtime.postgres import where
from producer_svc.adapters.postgres import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer_svc.adapters.postgres import ProducerConnection

_ROWS_A_FETCH = 5_000


class PostgresTargetTable:
    """Reads the table of targets, over the connection that the leases use, too."""

    def __init__(self, connection: ProducerConnection) -> None:
        self._connection = connection

    def version(self) -> tuple[int, int]:
        """A number that changes with the targets, and the moment (ms) at which it was read."""
        versions, now = "(SELECT version FROM {availability_monitor_config_version})", milliseconds("clock_timestamp()")
        with self._connection.executed(f"SELECT {versions}, {now}") as cursor:
            row = cursor.fetchone()
        if row is None or row[0] is None:
            server = where(self._connection.config)
            raise OutageError(f"{server}: table {TARGET_VERSION_TABLE} is empty: run dbadmin create-schema")
        return int(row[0]), int(row[1])

    def count_active(self) -> int:
        """How many targets are active."""
        with self._connection.executed("SELECT count(*) FROM {availability_monitor_config} WHERE amc_active") as cursor:
            ((count,),) = cursor.fetchall()
        return int(count)

    def read(self, ranks: range) -> Iterator[tuple[TargetRecord, int]]:
        """The active targets of these zero-based ranks by id, each with the moment (ms) of `ACTIVE_SINCE_COLUMN`."""
        query = sql.SQL("SELECT {}, {} FROM {} WHERE amc_active ORDER BY amc_id OFFSET {} LIMIT {}").format(
            sql.SQL(", ").join(map(sql.Identifier, TARGET_COLUMNS.values())),
            sql.SQL(milliseconds(ACTIVE_SINCE_COLUMN)),
            sql.Identifier(self._connection.config.schema, TARGET_TABLE),
            sql.Literal(ranks.start),
            sql.Literal(len(ranks)),
        )
        # A server-side cursor: 100,000 rows at once would take all the memory that the producer has.
        with (
            self._connection.used() as connection,
            connection.transaction(),
            connection.cursor("targets") as cursor,
        ):
            cursor.itersize = _ROWS_A_FETCH
            cursor.execute(query)
            for *fields, active_since_ms in cursor:
                yield TargetRecord(**dict(zip(TARGET_COLUMNS, fields, strict=True))), int(active_since_ms)
