"""PostgreSQL's statistics and its just-in-time compiler (`jit`), whose defaults do not suit a small installation.

Autovacuum skips a table with fewer than 50 changes. Without statistics PostgreSQL's planner assumes hundreds of targets
and locations, and then spends a second on compiling a view that is read in a millisecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# Number of rows. Autovacuum analyzes larger tables, once they have been analyzed for the first time.
_SMALL = 1_000
_STALE = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r' AND NOT c.relispartition AND (c.reltuples < 0
    OR c.reltuples < %s AND pg_stat_get_mod_since_analyze(c.oid) > greatest(c.reltuples, 0))
ORDER BY 1"""


def analyze_small_tables(connection: psycopg.Connection[Any], schema: str) -> None:
    """Analyze the tables that have no statistics, and small tables with more changes since the last time than rows."""
    for (table,) in connection.execute(_STALE, (schema, _SMALL)).fetchall():
        connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(schema, table)))


def disable_jit_in(connection: psycopg.Connection[Any], database: str) -> None:
    """Turn the compiler off in a database; a session may still turn it on for itself."""
    connection.execute(sql.SQL("ALTER DATABASE {} SET jit = off").format(sql.Identifier(database)))


def disable_jit_for(connection: psycopg.Connection[Any], user: str, database: str) -> None:
    """Turn the compiler off for one account only, in a database that may belong to others."""
    names = sql.Identifier(user), sql.Identifier(database)
    connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} SET jit = off").format(*names))
