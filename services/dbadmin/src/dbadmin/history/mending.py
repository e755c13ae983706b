"""What people leave half done with the partitions, made good before anything else: valid results need a place to go."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbadmin.history.locking import LockedOutError, with_locks
from dbadmin.history.partitions import attached_days, bounds
from monitoring_core.tables import DIRTY_HOUR_TABLE, RESULT_COLUMNS, RESULT_DEFAULT_TABLE, RESULT_KEY, RESULT_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

_OF_PARENT = """
FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_class p ON p.oid = inhparent
JOIN pg_namespace n ON n.oid = p.relnamespace WHERE n.nspname = %s AND p.relname = %s"""
_PENDING = f"SELECT c.relname {_OF_PARENT} AND inhdetachpending ORDER BY 1"
_DEFAULT = f"SELECT c.relname {_OF_PARENT} AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'"
_IS_TABLE = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = %s"
_WRITERS = """
SELECT DISTINCT rolname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, aclexplode(relacl) a
JOIN pg_roles r ON r.oid = a.grantee WHERE n.nspname = %s AND relname = %s AND a.privilege_type = 'INSERT'"""


def default_partition(connection: psycopg.Connection[Any], schema: str) -> str | None:
    """The name of the default partition; None when there is none."""
    row = connection.execute(_DEFAULT, (schema, RESULT_TABLE)).fetchone()
    return row[0] if row else None


def half_detached(connection: psycopg.Connection[Any], schema: str) -> list[str]:
    """The partitions whose DETACH CONCURRENTLY was interrupted: they can neither be read nor be written."""
    return [row[0] for row in connection.execute(_PENDING, (schema, RESULT_TABLE))]


def mend(connection: psycopg.Connection[Any], schema: str) -> Iterator[str]:
    """Finish each interrupted DETACH CONCURRENTLY, and make or attach a missing default partition; yields a line each.

    What was detached stays as a table of its own. PostgreSQL offers no way back to a partition but to attach it.
    """
    for name in half_detached(connection, schema):
        finish = "ALTER TABLE {} DETACH PARTITION {} FINALIZE"
        statement = sql.SQL(finish).format(sql.Identifier(schema, RESULT_TABLE), sql.Identifier(schema, name))
        yield _tried(connection, f"partition {name}: its interrupted DETACH", partial(connection.execute, statement))
    if default_partition(connection, schema) is None:
        present = connection.execute(_IS_TABLE, (schema, RESULT_DEFAULT_TABLE)).fetchone()
        step = partial(_attach if present else _make, connection, schema)
        yield _tried(connection, f"default partition: {'attaching it again' if present else 'making it anew'}", step)


def _tried(connection: psycopg.Connection[Any], what: str, step: Callable[[], object]) -> str:
    try:
        with_locks(connection, step)
    except LockedOutError:
        return f"{what} failed, a long query holds the table; the next run tries again"
    return f"{what} is done"


def _make(connection: psycopg.Connection[Any], schema: str) -> None:
    names = {"table": sql.Identifier(schema, RESULT_DEFAULT_TABLE), "parent": sql.Identifier(schema, RESULT_TABLE)}
    connection.execute(sql.SQL("CREATE TABLE {table} PARTITION OF {parent} DEFAULT").format(**names))
    for (role,) in connection.execute(_WRITERS, (schema, RESULT_TABLE)).fetchall():
        # A consumer counts the rows of the default partition.
        connection.execute(sql.SQL("GRANT SELECT ON {table} TO {role}").format(role=sql.Identifier(role), **names))


def _attach(connection: psycopg.Connection[Any], schema: str) -> None:
    """Attach the table that was the default partition. Its rows of days that have a partition now go there first."""
    table, parent = sql.Identifier(schema, RESULT_DEFAULT_TABLE), sql.Identifier(schema, RESULT_TABLE)
    connection.execute(sql.SQL("LOCK TABLE ONLY {}, {} IN ACCESS EXCLUSIVE MODE").format(parent, table))
    for day in attached_days(connection, schema):
        begin, end = bounds(day)
        connection.execute(
            sql.SQL("""
                WITH moved AS (
                    DELETE FROM {table} WHERE scheduled_at >= {begin} AND scheduled_at < {end} RETURNING {columns}
                ), stored AS (
                    INSERT INTO {parent} ({columns}) SELECT * FROM moved ON CONFLICT ({key}) DO NOTHING
                )
                INSERT INTO {dirty} SELECT DISTINCT date_trunc('hour', scheduled_at, 'UTC') FROM moved""").format(
                table=table,
                parent=parent,
                dirty=sql.Identifier(schema, DIRTY_HOUR_TABLE),
                columns=sql.SQL(", ").join(map(sql.Identifier, RESULT_COLUMNS)),
                key=sql.SQL(", ").join(map(sql.Identifier, RESULT_KEY)),
                begin=begin,
                end=end,
            )
        )
    connection.execute(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} DEFAULT").format(parent, table))
