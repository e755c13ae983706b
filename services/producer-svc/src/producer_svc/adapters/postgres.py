"""Targets from PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import class_row

from monitoring_core.errors import OutageError
from monitoring_core.tables import TARGET_COLUMNS, TARGET_TABLE
from monitoring_core.target import TargetRecord

if TYPE_CHECKING:
    from monitoring_core.config import DatabaseConfig

STATEMENT_TIMEOUT_MS = 30_000


@attrs.define
class PostgresTargets:
    """Reads targets over one connection, which is opened again after a failure."""

    _config: DatabaseConfig
    _connection: psycopg.Connection[Any] | None = attrs.field(default=None, init=False)

    def read(self, ranks: range) -> list[TargetRecord]:
        """The active targets of these zero-based ranks, in order of id.

        Raises:
            OutageError: PostgreSQL cannot be reached, or refuses; the text names the address.
        """
        try:
            with self._connect().cursor(row_factory=class_row(TargetRecord)) as cursor:
                cursor.execute(self._query(), (ranks.start, len(ranks)))
                return cursor.fetchall()
        except psycopg.Error as error:
            self._disconnect()
            raise OutageError(self._explain(error)) from None

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = psycopg.connect(
                make_conninfo(
                    **self._config.connection_parameters("producer-svc"),
                    options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
                ),
                autocommit=True,
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _query(self) -> sql.Composed:
        columns = [
            sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
            for name, column in TARGET_COLUMNS.items()
        ]
        return sql.SQL("SELECT {} FROM {} WHERE amc_active ORDER BY amc_id OFFSET %s LIMIT %s").format(
            sql.SQL(", ").join(columns), sql.Identifier(self._config.schema, TARGET_TABLE)
        )

    def _explain(self, error: psycopg.Error) -> str:
        where = f"PostgreSQL at {self._config.address}"
        if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            table = f"{self._config.schema}.{TARGET_TABLE}"
            return f"{where}, database {self._config.database} has no table {table}: run dbadmin create-schema"
        lines = str(error).strip().splitlines() or [type(error).__name__]
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            _, refused, why = lines[0].partition("FATAL:  ")
            if refused:
                return f"{where} refuses the connection: {why}"
            return f"{where} cannot be reached: {lines[0].rpartition('failed: ')[2]}"
        return f"{where} refuses to give the targets: {lines[0]}"
