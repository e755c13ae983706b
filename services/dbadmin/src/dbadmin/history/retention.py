"""What is too old goes: single results once they are rolled up, and later the roll-ups."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

_BATCH = 20_000

# Rows that were written without a mark, by hand or by a consumer of an older release.
_AUDIT = """
INSERT INTO {schema}.availability_dirty_hour
SELECT DISTINCT hour FROM (
    (SELECT date_trunc('hour', scheduled_at, 'UTC') AS hour, target_id, location,
        count(*) FILTER (WHERE status = 'up'), count(*) FILTER (WHERE status = 'down'), count(*)
    FROM {schema}.availability_result WHERE scheduled_at >= %(start)s AND scheduled_at < %(end)s GROUP BY 1, 2, 3)
    EXCEPT
    SELECT hour, target_id, location, up, down, up + down + unknown FROM {schema}.availability_hourly
    WHERE hour >= %(start)s AND hour < %(end)s
) differing"""
_FORGET_MARKS = """
WITH gone AS (DELETE FROM {schema}.availability_dirty_hour WHERE hour < %(horizon)s RETURNING hour)
SELECT count(DISTINCT hour) FROM gone"""
# Consumers never take a row away: where roll-ups count more than there is, the day was dropped, and what is there came
# after that.
_FORGET_DROPPED = """
DELETE FROM {schema}.availability_dirty_hour WHERE hour = %(start)s AND EXISTS (
    SELECT FROM {schema}.availability_hourly h WHERE h.hour = %(start)s AND h.up + h.down + h.unknown > (
        SELECT count(*) FROM {schema}.availability_result r WHERE r.target_id = h.target_id
        AND r.location = h.location AND r.scheduled_at >= %(start)s AND r.scheduled_at < %(end)s))"""
_DIRTY = "SELECT FROM {schema}.availability_dirty_hour WHERE hour >= %(start)s AND hour < %(end)s LIMIT 1"
# An incident that is still open keeps the number of its checks, so that these are not needed any more.
_FORGET_RUNS = "DELETE FROM {schema}.availability_down_run WHERE hour < %(horizon)s"
_OLD = (
    ("availability_hourly", "hour < %(horizon)s"),
    ("availability_daily", "day < %(horizon)s"),
    ("availability_incident", "ended_at < %(horizon)s"),
)


def midnight(day: dt.date) -> dt.datetime:
    """The moment at which a UTC day begins."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def audit(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> bool:
    """Mark the hours of a day whose roll-ups differ from the rows; whether any hour of it is marked now."""
    span = {"start": midnight(day), "end": midnight(day + dt.timedelta(days=1))}
    _run(connection, schema, _AUDIT, span)
    return is_dirty(connection, schema, day)


def audit_once(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> bool:
    """As `audit`, if nobody has done it for this day yet: it reads the whole day."""
    statement = """
        UPDATE {schema}.availability_progress SET compared_until = %(day)s
        WHERE compared_until IS NULL OR compared_until < %(day)s"""
    with connection.transaction():
        due = _run(connection, schema, statement, {"day": day}).rowcount
        return bool(due) and audit(connection, schema, day)


def is_dirty(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> bool:
    """Whether an hour of the day is to be rolled up."""
    span = {"start": midnight(day), "end": midnight(day + dt.timedelta(days=1))}
    return bool(_run(connection, schema, _DIRTY, span).fetchone() is not None)


def forget_marks(connection: psycopg.Connection[Any], schema: str, horizon: dt.datetime) -> int:
    """Leave hours alone whose rows are dropped, save the few that came too late; of how many hours such came."""
    row = _run(connection, schema, _FORGET_MARKS, {"horizon": horizon}).fetchone()
    return int(row[0])


def forget_dropped(connection: psycopg.Connection[Any], schema: str, hour: dt.datetime) -> bool:
    """Leave an hour alone when its day was dropped before and its results are some that came since; whether it was."""
    span = {"start": hour, "end": hour + dt.timedelta(hours=1)}
    return bool(_run(connection, schema, _FORGET_DROPPED, span).rowcount)


def forget_runs(connection: psycopg.Connection[Any], schema: str, horizon: dt.datetime) -> None:
    """Delete what only serves to compute hours again that cannot be any more."""
    _run(connection, schema, _FORGET_RUNS, {"horizon": horizon})


def expire_rollups(connection: psycopg.Connection[Any], schema: str, horizon: dt.datetime) -> Iterator[int]:
    """Delete roll-ups and ended incidents from before the horizon, in small transactions; the rows of each."""
    for table, condition in _OLD:
        statement = f"""
            DELETE FROM {{schema}}.{table} WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM {{schema}}.{table} WHERE {condition} LIMIT {_BATCH}))"""  # noqa: S608
        while count := _run(connection, schema, statement, {"horizon": horizon}).rowcount:
            yield count


def mark_since(connection: psycopg.Connection[Any], schema: str, since: dt.datetime) -> None:
    """Mark all hours from a moment until now."""
    statement = """
        INSERT INTO {schema}.availability_dirty_hour
        SELECT generate_series(date_trunc('hour', %(since)s::timestamptz, 'UTC'), now(), interval '1 hour')"""
    _run(connection, schema, statement, {"since": since})


def _run(connection: psycopg.Connection[Any], schema: str, statement: str, values: dict[str, Any]) -> Any:
    return connection.execute(sql.SQL(statement).format(schema=sql.Identifier(schema)), values)
