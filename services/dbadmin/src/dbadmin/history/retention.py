"""Retention: results are deleted once they are rolled up, and roll-ups later."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

# Rows deleted in one transaction.
_BATCH = 20_000

# Finds rows that were written without a mark, by hand or by a consumer of an older release.
_AUDIT = """
INSERT INTO {availability_dirty_hour}
SELECT DISTINCT hour FROM (
    (SELECT date_trunc('hour', scheduled_at, 'UTC') AS hour, target_id, location,
        count(*) FILTER (WHERE status = 'up'), count(*) FILTER (WHERE status = 'down'), count(*)
    FROM {availability_result} WHERE scheduled_at >= %(start)s AND scheduled_at < %(end)s GROUP BY 1, 2, 3)
    EXCEPT
    SELECT hour, target_id, location, up, down, up + down + unknown FROM {availability_hourly}
    WHERE hour >= %(start)s AND hour < %(end)s
) differing"""
_FORGET_MARKS = """
WITH gone AS (DELETE FROM {availability_dirty_hour} WHERE hour < %(horizon)s RETURNING hour)
SELECT count(DISTINCT hour) FROM gone"""
# Consumers never delete rows. A roll-up that counts more checks than there are rows means that the day was dropped, and
# that these rows arrived afterwards.
_FORGET_DROPPED = """
DELETE FROM {availability_dirty_hour} WHERE hour = %(start)s AND EXISTS (
    SELECT FROM {availability_hourly} h WHERE h.hour = %(start)s AND h.up + h.down + h.unknown > (
        SELECT count(*) FROM {availability_result} r WHERE r.target_id = h.target_id
        AND r.location = h.location AND r.scheduled_at >= %(start)s AND r.scheduled_at < %(end)s))"""
_DIRTY = "SELECT FROM {availability_dirty_hour} WHERE hour >= %(start)s AND hour < %(end)s LIMIT 1"
# An open incident holds the number of its checks itself.
_FORGET_RUNS = "DELETE FROM {availability_down_run} WHERE hour < %(horizon)s"
# An alert that is open stays as it is now, and as it was told last; of one that has ended, the end goes last.
_OLD_TRANSITION = """stored_at < %(horizon)s
    AND (EXISTS (SELECT FROM {alert_transition} n
            WHERE n.alert_id = alert_transition.alert_id AND n.sequence > alert_transition.sequence)
        OR state IN ('ok', 'resolved') AND NOT EXISTS (SELECT FROM {alert_transition} o
            WHERE o.alert_id = alert_transition.alert_id AND o.sequence < alert_transition.sequence))
    AND NOT EXISTS (SELECT FROM {alert_told} t WHERE t.transition_id = alert_transition.transition_id)"""
_OLD_ACKNOWLEDGEMENT = """acknowledged_at < %(horizon)s AND NOT EXISTS (
    SELECT FROM {alert_transition} t WHERE t.alert_id = alert_acknowledgement.alert_id)"""
_OLD = (
    ("availability_hourly", "hour < %(horizon)s"),
    ("availability_daily", "day < %(horizon)s"),
    ("availability_incident", "ended_at < %(horizon)s"),
    # While a target is inactive, its pause is kept.
    ("availability_pause", "(resumed_at < %(horizon)s OR cause = 'deleted' AND paused_at < %(horizon)s)"),
    ("availability_monitor_config_history", "changed_at < %(horizon)s"),
    ("alert_transition", _OLD_TRANSITION),
    ("alert_notification", "done_at < %(horizon)s"),
    ("alert_acknowledgement", _OLD_ACKNOWLEDGEMENT),
    ("incident_note", "noted_at < %(horizon)s"),
    ("status_write", "written_at < %(horizon)s"),
    # For longer than any login lasts.
    ("status_logout", "ended_at < least(%(horizon)s, now() - interval '30 days')"),
    ("maintenance_occurrence", "ends_at < %(horizon)s"),
    ("maintenance_window", "coalesce(ended_at, CASE WHEN recurrence IS NULL THEN ends_at END) < %(horizon)s"),
)


def midnight(day: dt.date) -> dt.datetime:
    """The moment at which a UTC day begins."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def audit(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> bool:
    """Mark the hours of a day whose roll-ups differ from the rows; returns whether any hour of the day is marked."""
    _run(connection, schema, _AUDIT, _span(day))
    return is_dirty(connection, schema, day)


def audit_once(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> bool:
    """Like `audit`, but only once a day, because an audit reads the whole day: not again for this or an earlier day."""
    statement = """
        UPDATE {availability_progress} SET compared_until = %(day)s
        WHERE compared_until IS NULL OR compared_until < %(day)s"""
    with connection.transaction():
        due = _run(connection, schema, statement, {"day": day}).rowcount
        return bool(due) and audit(connection, schema, day)


def is_dirty(connection: psycopg.Connection[Any], schema: str, day: dt.date) -> bool:
    """Whether any hour of the day is marked."""
    return _run(connection, schema, _DIRTY, _span(day)).fetchone() is not None


def forget_marks(connection: psycopg.Connection[Any], schema: str, horizon: dt.datetime) -> int:
    """Delete the marks of hours before the horizon; returns the number of hours.

    If such an hour were rolled up again, it would count only the few results that arrived after its day was dropped.
    """
    (hours,) = _run(connection, schema, _FORGET_MARKS, {"horizon": horizon}).fetchone() or (0,)
    return int(hours)


def forget_dropped(connection: psycopg.Connection[Any], schema: str, hour: dt.datetime) -> bool:
    """Delete the marks of an hour if its rows arrived after its day was dropped; returns whether they did."""
    span = {"start": hour, "end": hour + dt.timedelta(hours=1)}
    return bool(_run(connection, schema, _FORGET_DROPPED, span).rowcount)


def forget_runs(connection: psycopg.Connection[Any], schema: str, horizon: dt.datetime) -> None:
    """Delete the runs of downs before the horizon: they are only needed to roll up hours that can still change."""
    _run(connection, schema, _FORGET_RUNS, {"horizon": horizon})


def expire_rollups(connection: psycopg.Connection[Any], schema: str, horizon: dt.datetime) -> Iterator[int]:
    """Delete roll-ups and ended incidents before the horizon; yields the number of rows of each small transaction."""
    for table, condition in _OLD:
        statement = f"""
            DELETE FROM {{{table}}} WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM {{{table}}} WHERE {condition} LIMIT {_BATCH}))"""  # noqa: S608
        while count := _run(connection, schema, statement, {"horizon": horizon}).rowcount:
            yield count


def mark_since(connection: psycopg.Connection[Any], schema: str, since: dt.datetime, now: dt.datetime) -> None:
    """Mark the hours from a moment until now, to be rolled up anew: by this run, or by later ones when it is cut."""
    mark = """
        INSERT INTO {availability_dirty_hour}
        SELECT generate_series(%(first)s::timestamptz, %(now)s, interval '1 hour')"""
    note = "UPDATE {availability_progress} SET anew_from = least(anew_from, %(first)s)"
    span = {"first": since.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0), "now": now}
    with connection.transaction():
        _run(connection, schema, mark, span)
        _run(connection, schema, note, span)


def anew_from(connection: psycopg.Connection[Any], schema: str) -> dt.datetime | None:
    """The moment from which on hours are rolled up anew; None when none are."""
    row = _run(connection, schema, "SELECT extract(epoch FROM anew_from) FROM {availability_progress}", {})
    seconds = (row.fetchone() or (None,))[0]
    return None if seconds is None else dt.datetime.fromtimestamp(float(seconds), dt.UTC)


def forget_anew(connection: psycopg.Connection[Any], schema: str) -> None:
    """Note that no hours are left that are to be rolled up anew."""
    _run(connection, schema, "UPDATE {availability_progress} SET anew_from = NULL", {})


def _span(day: dt.date) -> dict[str, dt.datetime]:
    return {"start": midnight(day), "end": midnight(day + dt.timedelta(days=1))}


def _run(
    connection: psycopg.Connection[Any], schema: str, statement: str, values: dict[str, Any]
) -> psycopg.Cursor[Any]:
    return connection.execute(composed(statement, schema), values)
