"""What there is in PostgreSQL, for plans: targets by interval, the size of a row, connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbadmin.connect import connected
from dbadmin.sizing.planning import Load
from monitoring_core.tables import RESULT_TABLE, TARGET_TABLE

if TYPE_CHECKING:
    import psycopg

    from monitoring_core.config import Config, DatabaseConfig

# Fewer rows say more about the pages that a table begins with than about rows.
_ENOUGH_ROWS = 10_000

_CONNECTIONS = """
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int"""
_ROWS = """
    SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0), coalesce(sum(greatest(c.reltuples, 0)), 0)
    FROM pg_partition_tree(to_regclass(format('%%I.%%I', %s::text, %s::text))) p JOIN pg_class c ON c.oid = p.relid
    WHERE p.isleaf AND c.reltuples >= %s"""


def read_loads(config: Config) -> list[Load]:
    """The active targets by their intervals.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config.database) as connection:
        return loads_in(connection, config)


def loads_in(connection: psycopg.Connection[Any], config: Config) -> list[Load]:
    """As `read_loads`, on a connection."""
    statement = sql.SQL("""
        SELECT count(*), coalesce(amc_check_interval_s, %s) FROM {} WHERE amc_active GROUP BY 2 ORDER BY 2""").format(
        sql.Identifier(config.database.schema, TARGET_TABLE)
    )
    rows = connection.execute(statement, (config.monitor.check_interval.total_seconds(),)).fetchall()
    return [Load(int(count), float(interval)) for count, interval in rows]


def read_max_connections(config: DatabaseConfig) -> int:
    """The connections that PostgreSQL gives to others than superusers.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        return max_connections_in(connection)


def max_connections_in(connection: psycopg.Connection[Any]) -> int:
    """As `read_max_connections`, on a connection."""
    row = connection.execute(_CONNECTIONS).fetchone()
    return int(row[0]) if row else 0


def read_row_bytes(config: DatabaseConfig) -> float | None:
    """Bytes on disk for one stored result with its part of the indexes; None while there are too few to tell.

    PostgreSQL counts rows when it analyzes a table; days that it has not yet analyzed are left out.
    """
    with connected(config) as connection:
        row = connection.execute(_ROWS, (config.schema, RESULT_TABLE, _ENOUGH_ROWS)).fetchone()
    return float(row[0]) / float(row[1]) if row and row[1] else None
