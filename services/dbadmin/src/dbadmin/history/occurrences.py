"""When maintenance windows hold, written down for views: SQL cannot follow a recurrence in a time zone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import attrs
from psycopg.rows import dict_row

from monitoring_alerting.windows import Window
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

# Views tell of the past, and a run comes every few minutes. A week is written ahead, and once a day what follows.
_AHEAD = dt.timedelta(days=8)
_RENEWED = dt.timedelta(days=7)
_EARLIEST = """
SELECT date_trunc('day', least((SELECT min(day) FROM {availability_daily}),
    (SELECT min(hour) FROM {availability_hourly}), %(now)s::timestamptz), 'UTC')"""
# What decides when a window holds; its labels are compared by the view. Of a window that is the same as it was, only
# what follows is written, unless there are older roll-ups now.
_DUE = """
SELECT w.window_id AS id, w.match, w.begins_at, w.ends_at, w.zone, w.recurrence, w.ended_at, w.stated,
    coalesce(p.stated = w.stated AND p.since <= %(since)s, false) AS same, p.since, p.until
FROM (
    SELECT *, hashtextextended((begins_at, ends_at, zone, recurrence, ended_at)::text, 0) AS stated
    FROM {maintenance_window}
) w LEFT JOIN {maintenance_progress} p ON p.window_id = w.window_id
WHERE (p.stated = w.stated AND p.since <= %(since)s AND p.until >= %(renewed)s) IS NOT TRUE ORDER BY w.window_id"""
_FORGET = "DELETE FROM {maintenance_occurrence} WHERE window_id = %(id)s"
# At a change of daylight saving, two times of the day may be the same moment.
_WRITE = """
INSERT INTO {maintenance_occurrence} (window_id, begins_at, ends_at)
SELECT %(id)s, o.* FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) o ON CONFLICT DO NOTHING"""
_NOTE = """
INSERT INTO {maintenance_progress} (window_id, stated, since, until, problem)
VALUES (%(id)s, %(stated)s, %(since)s, %(until)s, %(problem)s)
ON CONFLICT (window_id) DO UPDATE SET (stated, since, until, problem)
    = ROW(excluded.stated, excluded.since, excluded.until, excluded.problem)"""


@attrs.frozen
class Written:
    """A window of which it was written down when it holds.

    Attributes:
        problem: why it cannot be used, and never holds.
    """

    window_id: int
    problem: str | None


def write_occurrences(connection: psycopg.Connection[Any], schema: str, now: dt.datetime) -> Iterator[Written]:
    """Write down when those windows hold that are new or changed, or whose time is over; each in its transaction.

    As far back as there are roll-ups, so that a window that is added afterwards counts, and for some days ahead. The
    session's time zone must be UTC.
    """
    (since,) = connection.execute(composed(_EARLIEST, schema), {"now": now}).fetchone() or (now,)
    with connection.cursor(row_factory=dict_row) as cursor:
        due = cursor.execute(composed(_DUE, schema), {"since": since, "renewed": now + _RENEWED}).fetchall()
    for row in due:
        known = {name: row.pop(name) for name in ("stated", "same", "since", "until")}
        yield _write(connection, schema, Window(**row), known, since, now + _AHEAD)


def _write(
    connection: psycopg.Connection[Any],
    schema: str,
    window: Window,
    known: dict[str, Any],
    since: dt.datetime,
    until: dt.datetime,
) -> Written:
    problem, found = None, list[tuple[dt.datetime, dt.datetime]]()
    try:
        found = list(window.occurrences(known["until"] if known["same"] else since, until))
    except ValueError as error:
        problem = str(error)
    values = {
        "id": window.id,
        "stated": known["stated"],
        "since": known["since"] if known["same"] else since,
        "until": until,
        "problem": problem,
        "begins": [begin for begin, _ in found],
        "ends": [end for _, end in found],
    }
    with connection.transaction():
        for statement in (*(() if known["same"] else (_FORGET,)), _WRITE, _NOTE):
            connection.execute(composed(statement, schema), values)
    return Written(window.id, problem)
