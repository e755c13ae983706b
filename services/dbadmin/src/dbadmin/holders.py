"""Who holds a lock that dbadmin waits for, as one line for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import psycopg

# Another account's activity is hidden from one that may not see it: then its columns are null.
_COLUMNS = """
l.pid, coalesce(nullif(a.application_name, ''), 'a program without a name'), coalesce(a.usename::text, '?'),
coalesce(host(a.client_addr), ''), coalesce(a.state, ''),
coalesce(to_char(coalesce(CASE WHEN a.state <> 'idle' THEN a.xact_start END, a.state_change) AT TIME ZONE 'UTC',
    'YYYY-MM-DD HH24:MI:SS'), ''), coalesce(extract(epoch FROM now() - a.xact_start), 0),
CASE WHEN a.state = 'idle' THEN coalesce(extract(epoch FROM now() - a.state_change), 0) ELSE 0 END"""
_HERE = "l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
# One key of 64 bits, or two of 32 (PostgreSQL documentation, "pg_locks").
_ADVISORY = f"""
SELECT {_COLUMNS} FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE {_HERE} AND l.locktype = 'advisory' AND l.classid::bigint = %s AND l.objid::bigint = %s AND l.objsubid = %s
AND l.pid <> pg_backend_pid()"""  # noqa: S608
_TABLES = f"""
SELECT {_COLUMNS} FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity a USING (pid)
WHERE {_HERE} AND n.nspname = %s AND c.relkind IN ('r', 'p') AND l.pid <> pg_backend_pid()
AND a.backend_type IS DISTINCT FROM 'autovacuum worker'
ORDER BY a.xact_start LIMIT 1"""  # noqa: S608
_SECOND_KEY = "SELECT hashtext(%s)::bigint & 4294967295"


@attrs.frozen
class Holder:
    """A session of PostgreSQL that holds a lock.

    Attributes:
        pid: its process, for pg_terminate_backend.
        in_transaction_s: for how long its transaction has been open, in seconds; 0 outside one.
        idle_s: for how long it has done nothing and been in no transaction, in seconds.
    """

    pid: int
    text: str
    in_transaction_s: float
    idle_s: float

    def __str__(self) -> str:
        return self.text


def of_key(connection: psycopg.Connection[Any], key: int) -> Holder | None:
    """Who holds the advisory lock with a key of 64 bits; None when nobody does."""
    return _first(connection, _ADVISORY, (key >> 32, key & 0xFFFFFFFF, 1))


def of_keys(connection: psycopg.Connection[Any], key: int, text: str) -> Holder | None:
    """Who holds the advisory lock with a key of 32 bits and the hash of a text as the second; None when nobody does."""
    row = connection.execute(_SECOND_KEY, (text,)).fetchone()
    return _first(connection, _ADVISORY, (key, row[0] if row else 0, 2))


def of_tables(connection: psycopg.Connection[Any], schema: str) -> Holder | None:
    """Whose transaction has held a table of the schema for the longest time; None when nobody's does."""
    return _first(connection, _TABLES, (schema,))


def _first(connection: psycopg.Connection[Any], query: str, values: tuple[object, ...]) -> Holder | None:
    row = connection.execute(query, values).fetchone()
    if row is None:
        return None
    pid, program, user, address, state, since, in_transaction_s, idle_s = row
    where = f" from {address}" if address else ""
    doing = f", {state} since {since} UTC" if state else ""
    text = f"process {pid} ({program} as {user}{where}{doing})"
    return Holder(pid, text, float(in_transaction_s), float(idle_s))
