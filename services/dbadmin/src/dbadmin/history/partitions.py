"""Day partitions of the results: which days have one, and making them ahead of time.

A partition is made as a table of its own and then attached, so that consumers wait only for the moment of attaching.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbadmin.history.locking import LockedOutError, with_locks
from dbadmin.history.owned import owned_names
from monitoring_core.tables import RESULT_TABLE
from monitoring_runtime.postgres import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(RESULT_TABLE + r"_\d{8}")


def days(today: dt.date, ahead: int) -> list[dt.date]:
    """The UTC days that need a partition: yesterday, because results arrive late, today, and `ahead` more."""
    return [today + dt.timedelta(days=offset) for offset in range(-1, ahead + 1)]


def name_of(day: dt.date) -> str:
    """The name of a day's partition."""
    return f"{RESULT_TABLE}_{day:%Y%m%d}"


def bounds(day: dt.date) -> tuple[sql.Literal, sql.Literal]:
    """The moments at which a UTC day begins and ends."""
    begin, end = (sql.Literal(f"{bound} 00:00:00+00") for bound in (day, day + dt.timedelta(days=1)))
    return begin, end


def is_partitioned(connection: psycopg.Connection[Any], schema: str) -> bool:
    """Whether the results are in PostgreSQL's own partitions, not in a hypertable."""
    query = (
        "SELECT relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = %s"
    )
    row = connection.execute(query, (schema, RESULT_TABLE)).fetchone()
    return bool(row and row[0] == "p")


def day_tables(connection: psycopg.Connection[Any], schema: str) -> dict[str, bool]:
    """The names of the tables of days, and of all else that is named like one; whether each is its day's partition.

    A view and a foreign table are none, but no table can have their name. Others make partitions of months, named by
    the first day: they must not go with it.
    """
    query = """
        SELECT c.relname, CASE WHEN relkind = 'r' AND EXISTS (
            SELECT FROM pg_inherits WHERE inhrelid = c.oid AND NOT inhdetachpending)
            THEN pg_get_expr(relpartbound, c.oid) END
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = %s AND starts_with(c.relname, %s) ORDER BY relname"""
    found = connection.execute(query, (schema, RESULT_TABLE)).fetchall()
    return {name: _is_of_its_day(name, bound) for name, bound in found if _NAME.fullmatch(name)}


def attached_days(connection: psycopg.Connection[Any], schema: str) -> list[dt.date]:
    """The days that have a partition, oldest first."""
    return [_day(name) for name, attached in day_tables(connection, schema).items() if attached]


def made_by_others(connection: psycopg.Connection[Any], schema: str) -> list[str]:
    """The names of partitions that are neither those of a day nor the default one: retention leaves them alone."""
    query = """
        SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_class p ON p.oid = inhparent
        JOIN pg_namespace n ON n.oid = p.relnamespace
        WHERE n.nspname = %s AND p.relname = %s AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' ORDER BY 1"""
    found, ours = connection.execute(query, (schema, RESULT_TABLE)).fetchall(), day_tables(connection, schema)
    return [name for (name,) in found if not ours.get(name)]


def make_ahead(connection: psycopg.Connection[Any], schema: str, today: dt.date, ahead: int) -> Iterator[str]:
    """Make the missing partitions; yields one line for each that could not be made, and one that counts the others.

    When a long query holds the default partition, it holds up all of them: the rest is left to the next run.

    Args:
        connection: in autocommit mode.
        ahead: the number of days after today.
    """
    made, tables = 0, day_tables(connection, schema)
    for day in days(today, ahead):
        name = name_of(day)
        if tables.get(name):
            continue
        if name in tables and name not in owned_names(connection, schema):
            yield f"partition {name}: not made, {in_the_way(name)}"
            continue
        try:
            with_locks(connection, partial(_make, connection, schema, day))
            made += 1
        except (psycopg.errors.CheckViolation, psycopg.errors.DuplicateTable):
            yield (
                f"partition {name}: not made, the default partition already holds rows of that day "
                "(dbadmin maintain moves them)"
            )
        except psycopg.errors.InvalidObjectDefinition as error:
            yield f"partition {name}: not made, {covered(error)}"
        except LockedOutError:
            yield f"partition {name}: not made, a long query holds the default partition; the next run tries again"
            break
    yield f"partitions: {made} made, up to {today + dt.timedelta(days=ahead)}"


def in_the_way(name: str) -> str:
    """What is wrong, and what mends it, when something has the name of a day's partition and is none."""
    return (
        f"a table {name} is there that is not the partition of that day: rename it (dbadmin drops no table that it did "
        "not detach)"
    )


def covered(error: psycopg.errors.InvalidObjectDefinition) -> str:
    """What is wrong when a partition that others made has a part of a day; PostgreSQL names that partition."""
    return f"results of that time have another partition, in which dbadmin drops nothing: {first_line(error)}"


def _make(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> None:
    create(connection, schema, day)
    attach(connection, schema, day)


def create(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> None:
    """Make a table that can be attached as a day's partition."""
    for statement in _create_statements(schema, day):
        connection.execute(statement)


def attach(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> None:
    """Attach the table that `create` made."""
    for statement in _attach_statements(schema, day):
        connection.execute(statement)


def statements(schema: str, day: dt.date) -> list[sql.Composed]:
    """The statements that make a day's partition."""
    return [*_create_statements(schema, day), *_attach_statements(schema, day)]


def _create_statements(schema: str, day: dt.date) -> list[sql.Composed]:
    names = {"table": sql.Identifier(schema, name_of(day)), "parent": sql.Identifier(schema, RESULT_TABLE)}
    begin, end = bounds(day)
    return [
        sql.SQL("CREATE TABLE {table} (LIKE {parent} INCLUDING ALL)").format(**names),
        # With this constraint, attaching need not read the table.
        sql.SQL(
            "ALTER TABLE {table} ADD CONSTRAINT of_its_day CHECK (scheduled_at >= {begin} AND scheduled_at < {end})"
        ).format(begin=begin, end=end, **names),
    ]


def _attach_statements(schema: str, day: dt.date) -> list[sql.Composed]:
    names = {"table": sql.Identifier(schema, name_of(day)), "parent": sql.Identifier(schema, RESULT_TABLE)}
    begin, end = bounds(day)
    attach = sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES FROM ({begin}) TO ({end})")
    return [
        attach.format(begin=begin, end=end, **names),
        sql.SQL("ALTER TABLE {table} DROP CONSTRAINT of_its_day").format(**names),
    ]


def _is_of_its_day(name: str, bound: str | None) -> bool:
    """Whether these are the bounds of the day in the name, as PostgreSQL writes them in a session with our settings."""
    try:
        day = _day(name)
    except ValueError:
        return False
    begin, end = (f"{bound} 00:00:00+00" for bound in (day, day + dt.timedelta(days=1)))
    return bound == f"FOR VALUES FROM ('{begin}') TO ('{end}')"


def _day(name: str) -> dt.date:
    return dt.datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=dt.UTC).date()
