"""What PostgreSQL's planner must know, lest it take a small installation for a large one.

Autovacuum passes over a table with fewer than 50 changes. Without statistics the planner guesses hundreds of targets
and locations, and then compiles (`jit`) a view for a second that is read in a millisecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# The large ones autovacuum looks after, once they have been looked at.
_SMALL = 1_000
_STALE = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r' AND NOT c.relispartition AND (c.reltuples < 0
    OR c.reltuples < %s AND pg_stat_get_mod_since_analyze(c.oid) > greatest(c.reltuples, 0))
ORDER BY 1"""


def analyze_small_tables(connection: psycopg.Connection[Any], schema: str) -> None:
    """Gather the statistics of tables that never had any, or that are small and have changed throughout."""
    for (table,) in connection.execute(_STALE, (schema, _SMALL)).fetchall():
        connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(schema, table)))


def compile_nothing_in(connection: psycopg.Connection[Any], database: str) -> None:
    """Sessions in a database compile no statement unless they ask for it."""
    connection.execute(sql.SQL("ALTER DATABASE {} SET jit = off").format(sql.Identifier(database)))


def compile_nothing_for(connection: psycopg.Connection[Any], user: str, database: str) -> None:
    """The same for one account, in a database that may be somebody else's."""
    names = sql.Identifier(user), sql.Identifier(database)
    connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} SET jit = off").format(*names))
