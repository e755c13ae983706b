"""Incidents: each lasts from the first check of a target that is down to the next one that is up.

An unknown check says nothing about the website: it neither begins nor ends an incident, and does not split one. A
pause, in which a target is not checked, ends an incident; checks that are down within the pause, because a producer did
not know of it yet, count for none.

The table always holds the incidents of the hours rolled up so far, whatever the order in which they were rolled up.
When an hour is rolled up again, the incidents that touch it are deleted and rebuilt from its checks and its neighbours:
on the left the incident that was open when the hour began, on the right the first down after its end, and the first up
or pause. Nothing else is read, so the length of the history does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

_TEMPORARY = """
CREATE TEMP TABLE IF NOT EXISTS touched (
    target_id bigint, location text, open_since timestamptz, open_reason text, open_checks bigint,
    next_down_at timestamptz, next_reason text, next_end_at timestamptz, next_cause text, paused boolean DEFAULT false
) ON COMMIT DELETE ROWS"""

# Targets that are down in the hour, or were when the hour was rolled up before, or have an incident that reaches into
# the hour; without those whose hour stays as it is.
_TOUCH = """
INSERT INTO pg_temp.touched (target_id, location)
(SELECT target_id, location FROM {availability_down_run} WHERE hour = %(start)s
UNION SELECT target_id, location FROM pg_temp.hour_sums WHERE down > 0
UNION SELECT target_id, location FROM {availability_incident}
WHERE began_at < %(end)s AND (ended_at IS NULL OR ended_at >= %(start)s))
EXCEPT SELECT target_id, location FROM pg_temp.kept"""

# The checks of the open incident before the hour: all its checks, less those from the beginning of the hour on.
_LOOK_LEFT = """
UPDATE pg_temp.touched t SET open_since = i.began_at, open_reason = i.reason, open_checks = i.checks - (
    SELECT coalesce(sum(d.checks), 0) FROM {availability_down_run} d WHERE d.target_id = t.target_id
    AND d.location = t.location AND d.began_at >= %(start)s AND d.began_at < coalesce(i.ended_at, 'infinity'))
FROM {availability_incident} i WHERE i.target_id = t.target_id AND i.location = t.location
AND i.began_at < %(start)s AND coalesce(i.ended_at, 'infinity') >= %(start)s"""

# Nearly all targets have no pause, and their rows are then not compared with any.
_NOTE_PAUSES = """
UPDATE pg_temp.touched t SET paused = true FROM {availability_pause} p
WHERE p.target_id = t.target_id AND p.location IN ('', t.location)
AND p.paused_at < %(end)s AND coalesce(p.resumed_at, 'infinity') >= %(start)s"""
# What an incident is made of, within the hour: its downs, and what ends it, an up or a pause with its cause.
_MOMENTS = """
    SELECT r.target_id, r.location, r.scheduled_at AS at, r.status = 'down' AS down, r.reason
    FROM {availability_result} r JOIN pg_temp.touched t USING (target_id, location)
    WHERE r.scheduled_at >= %(start)s AND r.scheduled_at < %(end)s AND r.status <> 'unknown'
    AND (NOT t.paused OR r.status = 'up' OR NOT EXISTS (
        SELECT FROM {availability_pause} p WHERE p.target_id = r.target_id AND p.location IN ('', r.location)
        AND r.scheduled_at >= p.paused_at AND r.scheduled_at < coalesce(p.resumed_at, 'infinity')))
    UNION ALL
    SELECT t.target_id, t.location, p.paused_at, false, p.cause
    FROM pg_temp.touched t JOIN {availability_pause} p
    ON p.target_id = t.target_id AND p.location IN ('', t.location)
    WHERE t.paused AND p.paused_at >= %(start)s AND p.paused_at < %(end)s"""

_FORGET_RUNS = """
DELETE FROM {availability_down_run} d USING pg_temp.touched t
WHERE d.hour = %(start)s AND d.target_id = t.target_id AND d.location = t.location"""
_STORE_RUNS = f"""
INSERT INTO {{availability_down_run}} (target_id, location, began_at, hour, checks, reason)
SELECT target_id, location, min(at), %(start)s, count(*), (array_agg(reason ORDER BY at))[1]
FROM (
    SELECT *, count(*) FILTER (WHERE NOT down) OVER (PARTITION BY target_id, location ORDER BY at) AS ends
    FROM ({_MOMENTS}) moments
) r WHERE down GROUP BY target_id, location, ends"""  # noqa: S608

_LOOK_RIGHT = """
UPDATE pg_temp.touched t SET (next_down_at, next_reason) = (
    SELECT began_at, reason FROM {availability_down_run} d WHERE d.target_id = t.target_id
    AND d.location = t.location AND d.began_at >= %(end)s ORDER BY began_at LIMIT 1
), next_end_at = (
    SELECT first_up_at FROM {availability_hourly} h WHERE h.target_id = t.target_id
    AND h.location = t.location AND h.hour >= %(end)s AND h.first_up_at IS NOT NULL ORDER BY hour LIMIT 1)"""
_LOOK_FOR_PAUSE = """
UPDATE pg_temp.touched t SET next_end_at = p.paused_at, next_cause = p.cause
FROM {availability_pause} p WHERE p.target_id = t.target_id AND p.location IN ('', t.location)
AND p.paused_at >= %(end)s AND p.paused_at < coalesce(t.next_end_at, 'infinity') AND NOT EXISTS (
    SELECT FROM {availability_pause} o WHERE o.target_id = t.target_id AND o.location IN ('', t.location)
    AND o.paused_at >= %(end)s AND o.paused_at < p.paused_at)"""
# A down on the right continues the incident, unless an up or a pause comes before it.
_LEAVE_LATER = "UPDATE pg_temp.touched SET next_down_at = NULL WHERE next_down_at >= next_end_at"

_FORGET = """
DELETE FROM {availability_incident} i USING pg_temp.touched t
WHERE i.target_id = t.target_id AND i.location = t.location
AND (i.began_at >= %(start)s AND i.began_at < %(end)s OR i.began_at = t.open_since OR i.began_at = t.next_down_at)"""
_STORE = f"""
WITH points AS (
    SELECT target_id, location, open_since AS at, true AS down, open_reason AS reason FROM pg_temp.touched
    UNION ALL SELECT target_id, location, next_down_at, true, next_reason FROM pg_temp.touched
    UNION ALL SELECT target_id, location, next_end_at, false, next_cause FROM pg_temp.touched
    UNION ALL {_MOMENTS}
), islands AS (
    SELECT *, count(*) FILTER (WHERE NOT down) OVER (PARTITION BY target_id, location ORDER BY at) AS ends
    FROM points WHERE at IS NOT NULL
), spans AS (
    SELECT target_id, location, min(at) FILTER (WHERE down) AS began_at,
        (array_agg(reason ORDER BY at) FILTER (WHERE down))[1] AS reason,
        lead(min(at) FILTER (WHERE NOT down)) OVER later AS ended_at,
        lead(max(reason) FILTER (WHERE NOT down)) OVER later AS cause
    FROM islands GROUP BY target_id, location, ends WINDOW later AS (PARTITION BY target_id, location ORDER BY ends)
)
INSERT INTO {{availability_incident}} (target_id, location, began_at, ended_at, reason, end_reason, checks)
SELECT s.target_id, s.location, s.began_at, s.ended_at, s.reason,
    CASE WHEN s.ended_at IS NOT NULL THEN coalesce(s.cause, 'recovered') END,
    CASE WHEN s.began_at = t.open_since THEN t.open_checks ELSE 0 END + (
        SELECT coalesce(sum(d.checks), 0) FROM {{availability_down_run}} d WHERE d.target_id = s.target_id
        AND d.location = s.location AND d.began_at >= greatest(s.began_at, %(start)s)
        AND d.began_at < coalesce(s.ended_at, 'infinity'))
FROM spans s JOIN pg_temp.touched t USING (target_id, location) WHERE s.began_at IS NOT NULL"""  # noqa: S608
_RECOVERED = """
UPDATE {availability_state} s SET recovered_at = (
    SELECT max(ended_at) FROM {availability_incident} i
    WHERE i.target_id = s.target_id AND i.location = s.location)
FROM pg_temp.touched t WHERE s.target_id = t.target_id AND s.location = t.location"""


def splice(connection: psycopg.Connection[Any], schema: str, span: Mapping[str, Any]) -> None:
    """Rebuild the incidents that touch an hour. `rollups` has filled pg_temp.hour_sums, pg_temp.kept and the hourly
    table before.

    Args:
        span: `start` and `end` of the hour.
    """
    connection.execute(_TEMPORARY)
    for statement in (
        _TOUCH,
        "ANALYZE pg_temp.touched",
        _LOOK_LEFT,
        _NOTE_PAUSES,
        _FORGET_RUNS,
        _STORE_RUNS,
        _LOOK_RIGHT,
        _LOOK_FOR_PAUSE,
        _LEAVE_LATER,
        _FORGET,
        _STORE,
    ):
        connection.execute(composed(statement, schema), span)


def resume_added_again(connection: psycopg.Connection[Any], schema: str) -> None:
    """End the pauses of targets that were deleted and added again with their old id, which no trigger notes."""
    statement = """
        UPDATE {availability_pause} p SET resumed_at = greatest(p.paused_at, t.amc_active_since)
        FROM {availability_monitor_config} t
        WHERE p.target_id = t.amc_id AND p.location = '' AND p.resumed_at IS NULL AND t.amc_active"""
    connection.execute(composed(statement, schema))


def note_recoveries(connection: psycopg.Connection[Any], schema: str) -> None:
    """Store when the last incident ended, in the states of the targets that `splice` touched."""
    connection.execute(composed(_RECOVERED, schema))
