"""Day partitions of the results: made ahead, filled from the default one, detached and dropped when they are too old.

None of this keeps a consumer waiting for long: a partition is made as a table of its own and attached, and whatever
needs a lock that stands in a consumer's way gives up after LOCK_TIMEOUT_MS and is tried again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import sql

from monitoring_core.tables import RESULT_COLUMNS, RESULT_DEFAULT_TABLE, RESULT_KEY, RESULT_TABLE
from monitoring_runtime.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCK_TIMEOUT_MS = 500
LOCK_ATTEMPTS = 10
_BATCH = 20_000
T = TypeVar("T")
_NAME = re.compile(RESULT_TABLE + r"_(expired_)?(\d{8})")


class LockedOutError(Exception):
    """Somebody held what was needed for the whole time: another run will find it free."""


def days(today: dt.date, ahead: int) -> list[dt.date]:
    """The UTC days that want a partition: yesterday, because results arrive late, today, and `ahead` more."""
    return [today + dt.timedelta(days=offset) for offset in range(-1, ahead + 1)]


def name_of(day: dt.date) -> str:
    """The partition's table."""
    return f"{RESULT_TABLE}_{day:%Y%m%d}"


def is_partitioned(connection: psycopg.Connection[Any], schema: str) -> bool:
    """Whether the results are in partitions of PostgreSQL's own, not in a hypertable."""
    query = (
        "SELECT relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = %s"
    )
    row = connection.execute(query, (schema, RESULT_TABLE)).fetchone()
    return bool(row and row[0] == "p")


def present(connection: psycopg.Connection[Any], schema: str) -> dict[str, bool]:
    """The tables of days, and whether each is attached."""
    query = """
        SELECT c.relname, EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid) FROM pg_class c
        JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relkind = 'r' ORDER BY relname"""
    found = connection.execute(query, (schema,)).fetchall()
    return {name: attached for name, attached in found if _NAME.fullmatch(name)}


def attached_days(connection: psycopg.Connection[Any], schema: str) -> list[dt.date]:
    """The days that have a partition, oldest first."""
    return [_day(name) for name, attached in present(connection, schema).items() if attached]


def make_ahead(connection: psycopg.Connection[Any], schema: str, today: dt.date, ahead: int) -> Iterator[str]:
    """Make the missing partitions; a line about what was done. The connection is in autocommit mode."""
    made, known = 0, present(connection, schema)
    for day in days(today, ahead):
        name = name_of(day)
        if known.get(name):
            continue
        try:
            _locked(partial(_make, connection, schema, day))
            made += 1
        except psycopg.errors.CheckViolation:
            yield (
                f"partition {name}: not made, the default partition already holds rows of that day "
                "(dbadmin maintain moves them)"
            )
        except LockedOutError:
            yield f"partition {name}: not made, a long query holds the default partition; the next run tries again"
    yield f"partitions: {made} made, up to {today + dt.timedelta(days=ahead)}"


def _make(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> None:
    with connection.transaction():
        _set_lock_timeout(connection)
        _create(connection, schema, day)
        _attach(connection, schema, day)


def statements(schema: str, day: dt.date) -> list[sql.Composed]:
    """What makes a partition."""
    return [*_create_statements(schema, day), *_attach_statements(schema, day)]


def _create(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> None:
    """A table that fits as a partition, unless there is one left from a run that was killed."""
    for statement in _create_statements(schema, day):
        connection.execute(statement)


def _create_statements(schema: str, day: dt.date) -> list[sql.Composed]:
    names = {"table": sql.Identifier(schema, name_of(day)), "parent": sql.Identifier(schema, RESULT_TABLE)}
    begin, end = _bounds(day)
    return [
        sql.SQL("CREATE TABLE IF NOT EXISTS {table} (LIKE {parent} INCLUDING ALL)").format(**names),
        # With it, attaching need not read the table.
        sql.SQL(
            "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS of_its_day, "
            "ADD CONSTRAINT of_its_day CHECK (scheduled_at >= {begin} AND scheduled_at < {end})"
        ).format(begin=begin, end=end, **names),
    ]


def _attach(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> None:
    for statement in _attach_statements(schema, day):
        connection.execute(statement)


def _attach_statements(schema: str, day: dt.date) -> list[sql.Composed]:
    names = {"table": sql.Identifier(schema, name_of(day)), "parent": sql.Identifier(schema, RESULT_TABLE)}
    begin, end = _bounds(day)
    attach = sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES FROM ({begin}) TO ({end})")
    return [
        attach.format(begin=begin, end=end, **names),
        sql.SQL("ALTER TABLE {table} DROP CONSTRAINT of_its_day").format(**names),
    ]


def expire_default(connection: psycopg.Connection[Any], schema: str, horizon: dt.date) -> int:
    """Delete from the default partition what is older than is kept, in small transactions; how many rows."""
    delete = sql.SQL("""
        DELETE FROM {table} WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {table} WHERE scheduled_at < {horizon} LIMIT {batch}))
    """).format(table=sql.Identifier(schema, RESULT_DEFAULT_TABLE), horizon=_bounds(horizon)[0], batch=_BATCH)
    deleted = 0
    while count := connection.execute(delete).rowcount:
        deleted += count
    return deleted


def empty_default(connection: psycopg.Connection[Any], schema: str) -> Iterator[str]:
    """Move the rows of the default partition into partitions of their days.

    They are copied beside it first, while consumers go on; then, under a lock that only rows on their way into the
    default partition wait for, what came or changed since is copied too, and the default partition is truncated and the
    new ones are attached, all in one transaction: there is no moment at which a row is missing or twice there.
    """
    default = sql.Identifier(schema, RESULT_DEFAULT_TABLE)
    query = sql.SQL("SELECT DISTINCT (scheduled_at AT TIME ZONE 'UTC')::date FROM {} ORDER BY 1").format(default)
    wanted = [row[0] for row in connection.execute(query)]
    if not wanted:
        return
    since = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::xid").fetchone()
    assert since
    for day in wanted:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(schema, name_of(day))))
        _create(connection, schema, day)
        _copy(connection, schema, day)
    try:
        moved = _locked(lambda: _swap(connection, schema, wanted, since[0]))
    except LockedOutError:
        yield "default partition: its rows stay, a long query holds it; the next run tries again"
        return
    yield f"default partition: {moved} rows moved into partitions of {', '.join(map(str, wanted))}"


def _swap(connection: psycopg.Connection[Any], schema: str, wanted: list[dt.date], since: str) -> int:
    default = sql.Identifier(schema, RESULT_DEFAULT_TABLE)
    with connection.transaction():
        _set_lock_timeout(connection)
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(default))
        for day in wanted:
            _copy(connection, schema, day, since)
        rows = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(default)).fetchone()
        parts = sql.SQL(" + ").join(
            sql.SQL("(SELECT count(*) FROM {})").format(sql.Identifier(schema, name_of(day))) for day in wanted
        )
        copied = connection.execute(sql.SQL("SELECT {}").format(parts)).fetchone()
        if rows != copied:
            raise LockedOutError  # rows of one more day came meanwhile
        connection.execute(sql.SQL("TRUNCATE {}").format(default))
        for day in wanted:
            _attach(connection, schema, day)
    return int(rows[0]) if rows else 0


def _copy(connection: psycopg.Connection[Any], schema: str, day: dt.date, since: str | None = None) -> None:
    """Copy a day's rows beside the default partition: all, or those of transactions that are not older than `since`."""
    begin, end = _bounds(day)
    values = [sql.Identifier(name) for name in RESULT_COLUMNS if name not in RESULT_KEY]
    statement = sql.SQL("""
        INSERT INTO {table} ({columns}) SELECT {columns} FROM {default}
        WHERE scheduled_at >= {begin} AND scheduled_at < {end} AND {newer}
        ON CONFLICT ({key}) DO UPDATE SET ({values}) = ROW({new})""")
    connection.execute(
        statement.format(
            table=sql.Identifier(schema, name_of(day)),
            default=sql.Identifier(schema, RESULT_DEFAULT_TABLE),
            columns=sql.SQL(", ").join(map(sql.Identifier, RESULT_COLUMNS)),
            key=sql.SQL(", ").join(map(sql.Identifier, RESULT_KEY)),
            values=sql.SQL(", ").join(values),
            new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(value) for value in values),
            begin=begin,
            end=end,
            newer=sql.SQL("age(xmin) <= age({}::xid)").format(sql.Literal(since)) if since else sql.SQL("true"),
        )
    )


def detach(connection: psycopg.Connection[Any], schema: str, day: dt.date, may: Callable[[], bool]) -> bool:
    """Take a partition out, unless `may`, asked when nobody can write to it any more, says no; whether it was done.

    PostgreSQL cannot detach concurrently where there is a default partition, so that this takes the lock that every
    query needs, for the moment that changing the catalogue takes.

    Raises:
        LockedOutError: it was in use all the time.
    """

    def once() -> bool:
        with connection.transaction():
            _set_lock_timeout(connection)
            table = sql.Identifier(schema, name_of(day))
            # In the order in which a consumer takes them: two that wait for each other would wait for the time-out.
            parent = sql.Identifier(schema, RESULT_TABLE)
            connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(parent))
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table))
            if not may():
                return False
            statement = sql.SQL("ALTER TABLE {} DETACH PARTITION {}")
            connection.execute(statement.format(sql.Identifier(schema, RESULT_TABLE), table))
            expired = sql.Identifier(f"{RESULT_TABLE}_expired_{day:%Y%m%d}")
            connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(table, expired))
        return True

    return _locked(once)


def drop_expired(connection: psycopg.Connection[Any], schema: str) -> int:
    """Drop what was detached, by this run or by one that was killed; how many tables."""
    expired = [name for name in present(connection, schema) if "_expired_" in name]
    for name in expired:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(schema, name)))
    return len(expired)


def index_times(connection: psycopg.Connection[Any], schema: str) -> Iterator[str]:
    """Give partitions that an older release made the index over time, beside consumers; a line for each."""
    query = """
        SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_class p ON p.oid = inhparent
        JOIN pg_namespace n ON n.oid = p.relnamespace WHERE n.nspname = %s AND p.relname = %s AND NOT EXISTS (
            SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam
            WHERE i.indrelid = c.oid AND a.amname = 'brin' AND i.indisvalid)
        ORDER BY c.relname DESC"""
    for (name,) in connection.execute(query, (schema, RESULT_TABLE)).fetchall():
        index = f"{name}_time"
        names = {"index": sql.Identifier(schema, index), "table": sql.Identifier(schema, name)}
        # What a run that was killed has left is not valid.
        connection.execute(sql.SQL("DROP INDEX IF EXISTS {index}").format(**names))
        build = "CREATE INDEX CONCURRENTLY {name} ON {table} USING brin (scheduled_at) WITH (pages_per_range = 32)"
        connection.execute(sql.SQL(build).format(name=sql.Identifier(index), **names))
        attach = sql.SQL("ALTER INDEX {} ATTACH PARTITION {}")
        connection.execute(attach.format(sql.Identifier(schema, "availability_result_time"), names["index"]))
        yield f"partition {name}: index over time made"


def summarize(connection: psycopg.Connection[Any], schema: str) -> None:
    """Let the index over time know the newest rows: it is what finds an hour in its day."""
    query = """
        SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_am a ON a.oid = c.relam JOIN pg_class t ON t.oid = i.indrelid
        JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE a.amname = 'brin' AND c.relkind = 'i' AND n.nspname = %s AND t.relname = ANY (%s)"""
    today = dt.datetime.now(dt.UTC).date()
    names = [name_of(today - dt.timedelta(days=back)) for back in (0, 1)] + [RESULT_DEFAULT_TABLE]
    connection.execute(query, (schema, names))


def _locked(step: Callable[[], T]) -> T:
    """Try a step until it gets its locks.

    Raises:
        LockedOutError: it never did.
    """
    backoff = Backoff(LOCK_TIMEOUT_MS / 1000, 2.0)
    for attempt in range(LOCK_ATTEMPTS):
        if attempt:
            time.sleep(backoff.next())
        with contextlib.suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            return step()
    raise LockedOutError


def _set_lock_timeout(connection: psycopg.Connection[Any]) -> None:
    connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")


def _bounds(day: dt.date) -> tuple[sql.Literal, sql.Literal]:
    begin, end = (sql.Literal(f"{bound} 00:00:00+00") for bound in (day, day + dt.timedelta(days=1)))
    return begin, end


def _day(name: str) -> dt.date:
    return dt.datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=dt.UTC).date()
