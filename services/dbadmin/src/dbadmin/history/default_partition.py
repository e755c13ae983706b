"""The default partition: it takes rows of days without a partition, and is emptied into partitions of those days."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbadmin.connect import one_row
from dbadmin.history.locking import LockedOutError, with_locks
from dbadmin.history.owned import claim, release
from dbadmin.history.partitions import attach, bounds, covered, create, day_tables, in_the_way, name_of
from monitoring_core.tables import RESULT_COLUMNS, RESULT_DEFAULT_TABLE, RESULT_KEY
from monitoring_runtime.commands import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

# Rows deleted in one transaction.
_BATCH = 20_000
# Days of one transaction: it locks the tables and indexes of each, and PostgreSQL's memory for locks is bounded.
_DAYS = 50
# Nobody makes partitions further ahead (database.partitions_ahead).
_FAR = dt.timedelta(days=366)
# So many days are named one by one.
_NAMED = 5


def expire_default(connection: psycopg.Connection[Any], schema: str, horizon: dt.date) -> int:
    """Delete the rows from before the horizon, in small transactions; returns the number of rows."""
    delete = sql.SQL("""
        DELETE FROM {table} WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {table} WHERE scheduled_at < {horizon} LIMIT {batch}))
    """).format(table=sql.Identifier(schema, RESULT_DEFAULT_TABLE), horizon=bounds(horizon)[0], batch=_BATCH)
    deleted = 0
    while count := connection.execute(delete).rowcount:
        deleted += count
    return deleted


def empty_default(connection: psycopg.Connection[Any], schema: str, today: dt.date) -> Iterator[str]:
    """Move the rows into partitions of their days, some days at a time; yields a line each time.

    The rows are first copied into tables beside the default partition, while consumers continue. Then one transaction
    locks the default partition, copies the rows that were added or changed since, takes them out and attaches the
    tables, so that no row is ever missing or there twice. Only writers into the default partition wait for that lock.

    Rows of a day stay where they are when another table has the name of the day's partition. So do those of a time far
    ahead, which come from a clock that is wrong: a table for each of their days would cost every query a lock.
    """
    default = sql.Identifier(schema, RESULT_DEFAULT_TABLE)
    query = sql.SQL("SELECT DISTINCT (scheduled_at AT TIME ZONE 'UTC')::date FROM {} ORDER BY 1").format(default)
    found, tables = [row[0] for row in connection.execute(query)], day_tables(connection, schema)
    for day in found:
        if name_of(day) in tables:
            yield f"default partition: its rows of {day} stay, {in_the_way(name_of(day))}"
    if far := [day for day in found if day > today + _FAR]:
        yield f"default partition: its rows of {_named(far)} stay, they are far ahead: a producer's clock is wrong"
    wanted = [day for day in found if day <= today + _FAR and name_of(day) not in tables]
    for first in range(0, len(wanted), _DAYS):
        part = wanted[first : first + _DAYS]
        try:
            moved = _move(connection, schema, part, empties=len(part) == len(found))
        except LockedOutError:
            yield "default partition: its rows stay, a long query holds it; the next run tries again"
            return
        except psycopg.errors.InvalidObjectDefinition as error:
            yield f"default partition: its rows stay, {covered(error)}"
        else:
            yield f"default partition: {counted(moved, 'row')} moved into partitions of {_named(part)}"


def _move(connection: psycopg.Connection[Any], schema: str, wanted: list[dt.date], empties: bool) -> int:
    """Move the rows of some days; returns how many they are.

    Raises:
        LockedOutError: a long query holds the default partition.
        InvalidObjectDefinition: a partition that others made has a part of one of these days.
    """
    (since,) = one_row(connection, "SELECT pg_snapshot_xmin(pg_current_snapshot())::xid")
    for day in wanted:
        with connection.transaction():
            create(connection, schema, day)
            claim(connection, schema, name_of(day))
        _copy(connection, schema, day)
    return with_locks(connection, lambda: _swap(connection, schema, wanted, empties, since))


def _named(days: list[dt.date]) -> str:
    if len(days) <= _NAMED:
        return ", ".join(map(str, days))
    return f"{counted(len(days), 'day')} from {min(days)} to {max(days)}"


def _swap(connection: psycopg.Connection[Any], schema: str, wanted: list[dt.date], empties: bool, since: str) -> int:
    """Attach the tables of the days, and take their rows out of the default partition; `empties`: it has no others."""
    default = sql.Identifier(schema, RESULT_DEFAULT_TABLE)
    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(default))
    for day in wanted:
        _copy(connection, schema, day, since)
    moved = sql.SQL("true") if empties else sql.SQL(" OR ").join(map(_of_day, wanted))
    rows = one_row(connection, sql.SQL("SELECT count(*) FROM {} WHERE {}").format(default, moved))
    parts = sql.SQL(" + ").join(
        sql.SQL("(SELECT count(*) FROM {})").format(sql.Identifier(schema, name_of(day))) for day in wanted
    )
    if rows != one_row(connection, sql.SQL("SELECT {}").format(parts)):
        raise LockedOutError  # rows of one more day arrived meanwhile
    if empties:
        connection.execute(sql.SQL("TRUNCATE {}").format(default))
    else:
        connection.execute(sql.SQL("DELETE FROM {} WHERE {}").format(default, moved))
    for day in wanted:
        attach(connection, schema, day)
        release(connection, schema, name_of(day))
    return int(rows[0])


def _copy(connection: psycopg.Connection[Any], schema: str, day: dt.date, since: str | None = None) -> None:
    """Copy a day's rows into the table of the day: all rows, or those of transactions not older than `since`."""
    values = [sql.Identifier(name) for name in RESULT_COLUMNS if name not in RESULT_KEY]
    statement = sql.SQL("""
        INSERT INTO {table} ({columns}) SELECT {columns} FROM {default}
        WHERE {of_day} AND {newer}
        ON CONFLICT ({key}) DO UPDATE SET ({values}) = ROW({new})""")
    connection.execute(
        statement.format(
            table=sql.Identifier(schema, name_of(day)),
            default=sql.Identifier(schema, RESULT_DEFAULT_TABLE),
            columns=sql.SQL(", ").join(map(sql.Identifier, RESULT_COLUMNS)),
            key=sql.SQL(", ").join(map(sql.Identifier, RESULT_KEY)),
            values=sql.SQL(", ").join(values),
            new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(value) for value in values),
            of_day=_of_day(day),
            newer=sql.SQL("age(xmin) <= age({}::xid)").format(sql.Literal(since)) if since else sql.SQL("true"),
        )
    )


def _of_day(day: dt.date) -> sql.Composed:
    begin, end = bounds(day)
    return sql.SQL("(scheduled_at >= {} AND scheduled_at < {})").format(begin, end)
