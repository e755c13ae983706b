"""The index over time of each partition (BRIN), which finds an hour's rows in their day."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbadmin.history.partitions import name_of
from monitoring_core.tables import RESULT_DEFAULT_TABLE, RESULT_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

_WITHOUT_INDEX = """
    SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_class p ON p.oid = inhparent
    JOIN pg_namespace n ON n.oid = p.relnamespace WHERE n.nspname = %s AND p.relname = %s AND NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam
        WHERE i.indrelid = c.oid AND a.amname = 'brin' AND i.indisvalid)
    ORDER BY c.relname DESC"""
_SUMMARIZE = """
    SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am a ON a.oid = c.relam JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE a.amname = 'brin' AND c.relkind = 'i' AND n.nspname = %s AND t.relname = ANY (%s)"""


def index_times(connection: psycopg.Connection[Any], schema: str) -> Iterator[str]:
    """Build the index of partitions that an older release made without one, beside consumers; yields a line each."""
    for (name,) in connection.execute(_WITHOUT_INDEX, (schema, RESULT_TABLE)).fetchall():
        index = f"{name}_time"
        names = {"index": sql.Identifier(schema, index), "table": sql.Identifier(schema, name)}
        # A run that was killed leaves an index that is not valid.
        connection.execute(sql.SQL("DROP INDEX IF EXISTS {index}").format(**names))
        build = "CREATE INDEX CONCURRENTLY {name} ON {table} USING brin (scheduled_at) WITH (pages_per_range = 32)"
        connection.execute(sql.SQL(build).format(name=sql.Identifier(index), **names))
        attach = sql.SQL("ALTER INDEX {} ATTACH PARTITION {}")
        connection.execute(attach.format(sql.Identifier(schema, "availability_result_time"), names["index"]))
        yield f"partition {name}: index over time made"


def summarize(connection: psycopg.Connection[Any], schema: str) -> None:
    """Add the newest rows to the indexes of today, of yesterday and of the default partition.

    PostgreSQL adds new pages to a BRIN index only when it vacuums, and reads all of them in every query until then.
    """
    today = dt.datetime.now(dt.UTC).date()
    names = [name_of(today - dt.timedelta(days=back)) for back in (0, 1)] + [RESULT_DEFAULT_TABLE]
    connection.execute(_SUMMARIZE, (schema, names))
