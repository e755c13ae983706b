"""The tables that maintain may drop: those that it detached itself, or made to move rows out of the default partition.

A name proves nothing: people detach the partition of a day to archive it, or restore one from a backup, and the table
has the same name. So each table is noted by its identifier in the transaction that detaches or makes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbadmin.history.locking import LockedOutError, with_locks
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLAIM = """
INSERT INTO {maintain_table}
SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s"""
_RELEASE = "DELETE FROM {maintain_table} WHERE name = %s"
_OURS = """
SELECT d.relation, d.name FROM {maintain_table} d
JOIN pg_class c ON c.oid = d.relation AND c.relname = d.name AND c.relkind = 'r' AND NOT c.relispartition
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %s ORDER BY d.name"""
_FORGET = "DELETE FROM {maintain_table} WHERE relation <> ALL (%s::oid[])"


def claim(connection: psycopg.Connection[Any], schema: str, name: str) -> None:
    """Note that maintain may drop a table, in the transaction that detaches or makes it."""
    connection.execute(composed(_CLAIM, schema), (schema, name))


def release(connection: psycopg.Connection[Any], schema: str, name: str) -> None:
    """Note that maintain may no longer drop a table, in the transaction that attaches it."""
    connection.execute(composed(_RELEASE, schema), (name,))


def owned_names(connection: psycopg.Connection[Any], schema: str) -> set[str]:
    """The names of the tables that maintain may drop."""
    return {name for _, name in connection.execute(composed(_OURS, schema), (schema,))}


def drop_owned(connection: psycopg.Connection[Any], schema: str) -> Iterator[tuple[str, str | None]]:
    """Drop the tables that maintain may drop; yields the name of each, and why it stays if it does.

    A table that somebody has renamed or attached since is no longer maintain's.
    """
    found = connection.execute(composed(_OURS, schema), (schema,)).fetchall()
    connection.execute(composed(_FORGET, schema), ([relation for relation, _ in found],))
    for _, name in found:
        yield name, _drop(connection, schema, name)


def _drop(connection: psycopg.Connection[Any], schema: str, name: str) -> str | None:
    def step() -> None:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(schema, name)))
        release(connection, schema, name)

    try:
        with_locks(connection, step)
    except LockedOutError:
        return "a long query holds it; the next run tries again"
    except psycopg.errors.DependentObjectsStillExist:
        return "other objects, like a view, depend on it: drop them"
    return None
