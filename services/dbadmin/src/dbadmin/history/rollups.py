"""Roll-ups of an hour from its rows, and of a day from its hours, with percentiles that can be merged.

A sketch counts response times in buckets whose bounds grow by 4 %: bucket b > 0 counts times above 0.1 ms · 1.04^(b-1)
and up to 0.1 ms · 1.04^b, bucket 0 those up to 0.1 ms. A percentile (nearest rank) is given as the middle of its
bucket, which is at most 2 % off. Sketches merge by adding their counts, so a day's percentiles are as exact as an
hour's (Masson, Rim, Lee: "DDSketch", VLDB 2019). In the tables a sketch is an array of `bucket << 20 | count`; 20 bits
are enough for a count because a day has fewer than 2^20 checks of one target.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from dbadmin.history import incidents
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    import psycopg

SMALLEST_S = 1e-4
GROWTH = 1.04
RELATIVE_ERROR = (GROWTH - 1) / (GROWTH + 1)

_BUCKET = f"""CASE WHEN response_time_s IS NOT NULL AND status <> 'unknown' THEN
    ceil(ln(greatest(response_time_s::float8, {SMALLEST_S}) / {SMALLEST_S}) / ln({GROWTH}::float8))::integer END"""
# The checks that were up and those that were down have percentiles and a sketch each.
_SIDES = {"": "NOT failed", "down_": "failed"}


def _percentile(rank: str, side: str) -> str:
    middle = f"{SMALLEST_S * 2 / (GROWTH + 1)!r} * {GROWTH}::float8 ^ min(bucket)"
    return f"({middle} FILTER (WHERE {side} AND running >= ceil({rank} * total)))::real"


_PERCENTILES = ", ".join(
    f"{_percentile(rank, side)} AS {prefix}p{rank[2:]:0<2}_s"
    for prefix, side in _SIDES.items()
    for rank in ("0.5", "0.95", "0.99")
)
_SKETCHES = ", ".join(
    f"array_agg(bucket << 20 | n::integer ORDER BY bucket) FILTER (WHERE {side} AND bucket IS NOT NULL) AS {name}"
    for name, side in (("response_sketch", "NOT failed"), ("down_sketch", "failed"))
)
_RANKED = """
    SELECT *, sum(n) OVER (PARTITION BY target_id, location, failed ORDER BY bucket) AS running,
        sum(n) FILTER (WHERE bucket IS NOT NULL) OVER (PARTITION BY target_id, location, failed) AS total
    FROM bucketed"""
# The steps of checks that were up: means, which a day weighs by the checks of its hours.
_STEPS = ("dns_s", "connect_s", "tls_s", "first_byte_s")

# The sums of the hour that is being rolled up, one row for each target and location. The table lasts for the session,
# its rows for one transaction.
_TEMPORARY = """
CREATE TEMP TABLE IF NOT EXISTS hour_sums (
    target_id bigint, location text, up integer, down integer, unknown integer, p50_s real, p95_s real, p99_s real,
    down_p50_s real, down_p95_s real, down_p99_s real, response_sketch integer[], down_sketch integer[], dns_s real,
    connect_s real, tls_s real, first_byte_s real, first_up_at timestamptz, last_real_at timestamptz,
    last_at timestamptz, first_at timestamptz, reasons jsonb
) ON COMMIT DELETE ROWS"""

_SUM_HOUR = f"""
WITH bucketed AS (
    SELECT target_id, location, failed, reason, bucket, count(*) AS n, {", ".join(f"sum({s}) AS {s}" for s in _STEPS)},
        count(*) FILTER (WHERE status = 'up') AS up, count(*) FILTER (WHERE status = 'down') AS down,
        min(scheduled_at) FILTER (WHERE status = 'up') AS first_up_at,
        max(scheduled_at) FILTER (WHERE status <> 'unknown') AS last_real_at, max(scheduled_at) AS last_at,
        min(scheduled_at) AS first_at
    FROM (
        SELECT target_id, location, scheduled_at, status, status = 'down' AS failed, reason, {_BUCKET} AS bucket,
            {", ".join(f"CASE status WHEN 'up' THEN {s} END AS {s}" for s in _STEPS)}
        FROM {{availability_result}} WHERE scheduled_at >= %(start)s AND scheduled_at < %(end)s
    ) r GROUP BY target_id, location, failed, reason, bucket
), reasons AS (
    SELECT target_id, location, jsonb_object_agg(reason, n) AS reasons FROM (
        SELECT target_id, location, reason, sum(n) AS n FROM bucketed
        WHERE reason IS NOT NULL GROUP BY target_id, location, reason
    ) r GROUP BY target_id, location
), ranked AS ({_RANKED}), sums AS (
    SELECT target_id, location, sum(up) AS up, sum(down) AS down, sum(n) - sum(up) - sum(down) AS unknown,
        {_PERCENTILES}, {_SKETCHES}, {", ".join(f"coalesce(sum({s}), 0) / nullif(sum(up), 0) AS {s}" for s in _STEPS)},
        min(first_up_at) AS first_up_at, max(last_real_at) AS last_real_at, max(last_at) AS last_at,
        min(first_at) AS first_at
    FROM ranked GROUP BY target_id, location
)
INSERT INTO pg_temp.hour_sums
SELECT sums.*, reasons FROM sums LEFT JOIN reasons USING (target_id, location)"""  # noqa: S608

_COLUMNS = (
    "up, down, unknown, p50_s, p95_s, p99_s, down_p50_s, down_p95_s, down_p99_s, response_sketch, down_sketch, "
    + ", ".join(_STEPS)
)
_HOURLY = f"{_COLUMNS}, first_up_at, reasons"


def _of(relation: str, columns: str) -> str:
    return ", ".join(f"{relation}.{name}" for name in columns.split(", "))


# Consumers never delete rows. A target with fewer rows than were counted has lost some to a person, who archived or
# deleted them: what was counted stays, unless it is asked for otherwise.
_TEMPORARY_KEPT = """
CREATE TEMP TABLE IF NOT EXISTS kept (target_id bigint, location text) ON COMMIT DELETE ROWS"""
_KEEP = """
INSERT INTO pg_temp.kept
SELECT h.target_id, h.location
FROM {availability_hourly} h LEFT JOIN pg_temp.hour_sums s USING (target_id, location)
WHERE h.hour = %(start)s AND h.up + h.down + h.unknown > coalesce(s.up + s.down + s.unknown, 0)"""
_LEAVE_KEPT = """
DELETE FROM pg_temp.hour_sums s USING pg_temp.kept k WHERE s.target_id = k.target_id AND s.location = k.location"""

_STORE_HOUR = f"""
INSERT INTO {{availability_hourly}} AS old (target_id, hour, location, {_HOURLY})
SELECT target_id, %(start)s, location, {_HOURLY} FROM pg_temp.hour_sums
ON CONFLICT (target_id, hour, location) DO UPDATE SET ({_HOURLY}) = ROW({_of("excluded", _HOURLY)})
WHERE ({_of("old", _HOURLY)}) IS DISTINCT FROM ({_of("excluded", _HOURLY)})"""  # noqa: S608
_FORGET_HOUR = """
DELETE FROM {availability_hourly} h WHERE hour = %(start)s
AND NOT EXISTS (SELECT FROM pg_temp.hour_sums s WHERE s.target_id = h.target_id AND s.location = h.location)
AND NOT EXISTS (SELECT FROM pg_temp.kept k WHERE k.target_id = h.target_id AND k.location = h.location)"""

_STORE_DAY = f"""
WITH hours AS (
    SELECT * FROM {{availability_hourly}} WHERE hour >= %(start)s AND hour < %(start)s + interval '24 hours'
), bucketed AS (
    SELECT target_id, location, failed, entry >> 20 AS bucket, sum(entry & 1048575) AS n
    FROM hours, LATERAL (
        SELECT false AS failed, unnest(response_sketch) AS entry UNION ALL SELECT true, unnest(down_sketch)
    ) entries
    GROUP BY target_id, location, failed, entry >> 20
), ranked AS ({_RANKED}), percentiles AS (
    SELECT target_id, location, {_PERCENTILES}, {_SKETCHES} FROM ranked GROUP BY target_id, location
), counts AS (
    SELECT target_id, location, sum(up) AS up, sum(down) AS down, sum(unknown) AS unknown,
        {", ".join(f"sum({s} * up) / nullif(sum(up) FILTER (WHERE {s} IS NOT NULL), 0) AS {s}" for s in _STEPS)}
    FROM hours GROUP BY target_id, location
)
INSERT INTO {{availability_daily}} AS old (target_id, day, location, {_COLUMNS})
SELECT target_id, %(start)s, location, {_COLUMNS} FROM counts LEFT JOIN percentiles USING (target_id, location)
ON CONFLICT (target_id, day, location) DO UPDATE SET ({_COLUMNS}) = ROW({_of("excluded", _COLUMNS)})"""  # noqa: S608
_FORGET_DAY = """
DELETE FROM {availability_daily} d WHERE day = %(start)s AND NOT EXISTS (
    SELECT FROM {availability_hourly} h WHERE h.target_id = d.target_id AND h.location = d.location
    AND h.hour >= %(start)s AND h.hour < %(start)s + interval '24 hours')"""

# The values of the newest check that its state keeps; the certificate is kept until another is seen.
_NEWEST = (
    "scheduled_at, status, reason, response_time_s, http_status, finished_at, error, remote_address, "
    "certificate_subject, certificate_issuer"
)
# A location that was forgotten stays so until it has newer results.
_STORE_LOCATIONS = """
INSERT INTO {availability_location} AS old (location, first_at)
SELECT location, min(first_at) FROM pg_temp.hour_sums s WHERE NOT EXISTS (
    SELECT FROM {availability_location} l WHERE l.location = s.location AND l.forgotten_at >= s.last_at)
GROUP BY location
ON CONFLICT (location) DO UPDATE SET first_at = least(old.first_at, excluded.first_at), forgotten_at = NULL
WHERE old.forgotten_at IS NOT NULL OR excluded.first_at < old.first_at"""
_STORE_STATE = f"""
INSERT INTO {{availability_state}} AS old (target_id, location, {_NEWEST}, certificate_expires_at, first_up_at,
    last_real_at)
SELECT s.target_id, s.location, {_of("r", _NEWEST)}, r.certificate_expires_at, s.first_up_at, s.last_real_at
FROM pg_temp.hour_sums s JOIN {{availability_result}} r
ON r.target_id = s.target_id AND r.scheduled_at = s.last_at AND r.location = s.location
WHERE r.scheduled_at >= %(start)s AND r.scheduled_at < %(end)s AND NOT EXISTS (
    SELECT FROM {{availability_location}} l WHERE l.location = s.location AND l.forgotten_at >= s.last_at)
ON CONFLICT (target_id, location) DO UPDATE SET ({_NEWEST}) = ROW({_of("excluded", _NEWEST)}),
    certificate_expires_at = coalesce(excluded.certificate_expires_at, old.certificate_expires_at)
WHERE old.scheduled_at <= excluded.scheduled_at"""  # noqa: S608
_AMEND_STATE = """
UPDATE {availability_state} t SET
    first_up_at = least(t.first_up_at, s.first_up_at), last_real_at = greatest(t.last_real_at, s.last_real_at)
FROM pg_temp.hour_sums s WHERE t.target_id = s.target_id AND t.location = s.location
AND (s.first_up_at < coalesce(t.first_up_at, 'infinity') OR s.last_real_at > coalesce(t.last_real_at, '-infinity'))"""
# The first unknown check after the last real one. The row of that check may have been dropped with its day, so an
# earlier moment that was stored before is kept.
_UNKNOWN_SINCE = """
UPDATE {availability_state} t SET unknown_since = CASE WHEN t.status = 'unknown' THEN least(
    CASE WHEN t.unknown_since > coalesce(t.last_real_at, '-infinity') THEN t.unknown_since END,
    (SELECT min(r.scheduled_at) FROM {availability_result} r WHERE r.target_id = t.target_id
    AND r.location = t.location AND r.scheduled_at > coalesce(t.last_real_at, '-infinity'))) END
FROM pg_temp.hour_sums s WHERE t.target_id = s.target_id AND t.location = s.location
AND (t.status = 'unknown' OR t.unknown_since IS NOT NULL)"""

# The view website_status reads all rows from this moment on in one sweep, and looks up targets with older states one by
# one. Targets that are no longer checked must not pull the moment back, even when they become many over the years.
_PROGRESS = """
UPDATE {availability_progress} SET tail_from = (
    SELECT percentile_disc(0.05) WITHIN GROUP (ORDER BY scheduled_at) FROM {availability_state}
    WHERE scheduled_at >= {availability_recent}())"""

_CONSUME_HOUR = "DELETE FROM {availability_dirty_hour} WHERE hour = %(start)s"
_MARK_DAY = "INSERT INTO {availability_dirty_day} VALUES (date_trunc('day', %(start)s::timestamptz, 'UTC'))"
_CONSUME_DAY = "DELETE FROM {availability_dirty_day} WHERE day = %(start)s"


def dirty_hours(connection: psycopg.Connection[Any], schema: str) -> list[dt.datetime]:
    """The marked hours, oldest first: hours with rows that were written since the hour was rolled up."""
    return _moments(connection, schema, "SELECT DISTINCT hour FROM {availability_dirty_hour} ORDER BY hour")


def dirty_days(connection: psycopg.Connection[Any], schema: str) -> list[dt.datetime]:
    """The marked days, oldest first: days with an hour that was rolled up since the day was."""
    return _moments(connection, schema, "SELECT DISTINCT day FROM {availability_dirty_day} ORDER BY day")


def note_rolled_up(connection: psycopg.Connection[Any], schema: str, until: dt.datetime) -> None:
    """Store the moment before which all results that were stored are in the roll-ups."""
    statement = "UPDATE {availability_progress} SET rolled_up_until = %(until)s"
    connection.execute(composed(statement, schema), {"until": until})


def roll_up_hour(connection: psycopg.Connection[Any], schema: str, hour: dt.datetime, anew: bool = False) -> None:
    """Roll up an hour from its rows: its sums, its part of incidents, and the states of its targets. One transaction.

    The hour's marks are deleted before its rows are read. A row that is committed too late to be read has a mark that
    was committed too late to be deleted, so the hour is rolled up again. The caller must hold the lock of `maintain`,
    because two roll-ups at once would overwrite each other.

    Args:
        anew: count the rows that there are, also of targets of which rows have left. Else these stay as they are.
    """
    span = {"start": hour, "end": hour + dt.timedelta(hours=1)}
    connection.execute(_TEMPORARY)
    connection.execute(_TEMPORARY_KEPT)
    with connection.transaction():
        _run(connection, schema, span, _CONSUME_HOUR, _SUM_HOUR)
        connection.execute("ANALYZE pg_temp.hour_sums")
        if not anew:
            _run(connection, schema, span, _KEEP, _LEAVE_KEPT)
        _run(connection, schema, span, _STORE_HOUR, _FORGET_HOUR)
        incidents.splice(connection, schema, span)
        _run(
            connection, schema, span, _STORE_LOCATIONS, _STORE_STATE, _AMEND_STATE, _UNKNOWN_SINCE, _PROGRESS, _MARK_DAY
        )
        incidents.note_recoveries(connection, schema)


def roll_up_day(connection: psycopg.Connection[Any], schema: str, day: dt.datetime) -> None:
    """Roll up a day from its hours, in one transaction."""
    with connection.transaction():
        _run(connection, schema, {"start": day}, _CONSUME_DAY, _STORE_DAY, _FORGET_DAY)


def _run(connection: psycopg.Connection[Any], schema: str, span: dict[str, Any], *statements: str) -> None:
    for statement in statements:
        connection.execute(composed(statement, schema), span)


def _moments(connection: psycopg.Connection[Any], schema: str, query: str) -> list[dt.datetime]:
    return [row[0] for row in connection.execute(composed(query, schema))]
