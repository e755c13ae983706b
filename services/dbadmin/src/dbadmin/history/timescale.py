"""TimescaleDB in place of partitions: the table of results as a hypertable of day chunks.

Only the features of its Apache edition are used: no compression, no continuous aggregates, no jobs. Roll-ups and views
are the same as with partitions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbadmin.connect import one_row
from dbadmin.history.partitions import is_partitioned
from monitoring_core.config import TimeSeries
from monitoring_core.errors import StopError
from monitoring_core.tables import RESULT_KEY, RESULT_TABLE
from monitoring_runtime.postgres import where

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig

_VIEWS = """
    SELECT DISTINCT v.relname, pg_get_viewdef(v.oid) FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    JOIN pg_class v ON v.oid = r.ev_class JOIN pg_class t ON t.oid = d.refobjid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE d.classid = 'pg_rewrite'::regclass AND n.nspname = %s AND t.relname = %s AND v.relkind = 'v'"""

# Gives the COMMENT statements that restore the comments on these tables and views.
_COMMENTS = """
    SELECT CASE WHEN a.attname IS NULL
        THEN format('COMMENT ON %%s %%I.%%I IS %%L', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END,
            n.nspname, c.relname, d.description)
        ELSE format('COMMENT ON COLUMN %%I.%%I.%%I IS %%L', n.nspname, c.relname, a.attname, d.description) END
    FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
    WHERE d.classoid = 'pg_class'::regclass AND n.nspname = %s AND c.relname = ANY (%s)"""


def apply_setting(connection: psycopg.Connection[Any], config: DatabaseConfig) -> Iterator[str]:
    """Make the table of results a hypertable if `database.timeseries` says so; yields a line when it was not yet.

    Raises:
        StopError: the setting is timescaledb, and the extension is missing or the table holds rows; or it is native,
            and the table is a hypertable already.
    """
    native = is_partitioned(connection, config.schema)
    if config.timeseries is TimeSeries.NATIVE:
        if not native:
            raise StopError(f"{config.schema}.{RESULT_TABLE} is a hypertable: set database.timeseries to timescaledb")
    elif native:
        _need_extension(connection, config)
        _convert(connection, config.schema)
        yield f"{RESULT_TABLE}: is a hypertable now (rights on it are given by dbadmin create-roles)"


def _need_extension(connection: psycopg.Connection[Any], config: DatabaseConfig) -> None:
    known = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
    if known is None:
        raise StopError(
            f"{where(config)} has no extension timescaledb: install it there, or set database.timeseries to native"
        )
    connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")


def _convert(connection: psycopg.Connection[Any], schema: str) -> None:
    """Replace the partitioned table by a hypertable. Its views are dropped with it, and made again."""
    table = sql.Identifier(schema, RESULT_TABLE)
    with connection.transaction():
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table))
        if connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(table)).fetchone():
            raise StopError(
                f"{schema}.{RESULT_TABLE} holds rows in partitions, which are not converted: set database.timeseries "
                "to native, or use an empty schema"
            )
        views = connection.execute(_VIEWS, (schema, RESULT_TABLE)).fetchall()
        names = [RESULT_TABLE, *(name for name, _ in views)]
        comments = connection.execute(_COMMENTS, (schema, names)).fetchall()
        for name, _ in views:
            connection.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(schema, name)))
        _replace(connection, schema)
        for name, definition in views:
            view = sql.SQL("CREATE VIEW {} AS ").format(sql.Identifier(schema, name))
            connection.execute(view + sql.SQL(definition))
        for (statement,) in comments:
            connection.execute(statement)


def _replace(connection: psycopg.Connection[Any], schema: str) -> None:
    table, beside = sql.Identifier(schema, RESULT_TABLE), sql.Identifier(schema, f"{RESULT_TABLE}_new")
    key = sql.SQL(", ").join(map(sql.Identifier, RESULT_KEY))
    for statement in (
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)").format(beside, table),
        sql.SQL("DROP TABLE {}").format(table),
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(beside, sql.Identifier(RESULT_TABLE)),
        sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(table, key),
    ):
        connection.execute(statement)
    connection.execute(
        "SELECT create_hypertable(format('%%I.%%I', %s::text, %s::text)::regclass, 'scheduled_at', "
        "chunk_time_interval => interval '1 day', create_default_indexes => false)",
        (schema, RESULT_TABLE),
    )
    index = "CREATE INDEX availability_result_time ON {} USING brin (scheduled_at) WITH (pages_per_range = 32)"
    connection.execute(sql.SQL(index).format(table))


def days(connection: psycopg.Connection[Any], schema: str) -> list[dt.date]:
    """The days that have a chunk, oldest first."""
    query = """
        SELECT DISTINCT (range_start AT TIME ZONE 'UTC')::date FROM timescaledb_information.chunks
        WHERE hypertable_schema = %s AND hypertable_name = %s ORDER BY 1"""
    return [row[0] for row in connection.execute(query, (schema, RESULT_TABLE))]


def drop_before(connection: psycopg.Connection[Any], schema: str, moment: dt.datetime) -> int:
    """Drop the chunks that end before the moment; returns the number of chunks."""
    query = "SELECT count(*) FROM drop_chunks(format('%%I.%%I', %s::text, %s::text)::regclass, older_than => %s)"
    (dropped,) = one_row(connection, query, (schema, RESULT_TABLE, moment))
    return int(dropped)
