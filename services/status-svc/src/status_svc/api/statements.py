"""The statements behind the API, on views and tables without secrets. Durations are seconds."""

from __future__ import annotations

from monitoring_core.tables import TARGET_COLUMNS

_TARGET = """
SELECT target_id, url, active, check_interval_s, timeout_s, method, expected_status, regexp, labels, added_at, added_by,
    follow_redirects, verify_tls, forbidden_regexp, connect_to, address_family, further_regexps,
    further_forbidden_regexps, expected_headers, expected_json, degraded_above_s, secret_headers, client_certificate,
    version
FROM {website_target}"""
TARGET = f"{_TARGET} WHERE target_id = %(target_id)s"
# An id that is asked for comes alone. Labels are compared only where there are any: most pages ask for none.
TARGETS = f"""{_TARGET}
WHERE target_id > %(after)s AND (%(target_id)s::bigint IS NULL OR target_id = %(target_id)s)
AND (%(label)s::jsonb = '{{{{}}}}' OR labels @> %(label)s::jsonb)
AND (active = %(active)s::boolean) IS NOT FALSE
ORDER BY target_id LIMIT %(limit)s"""
# Those that were deleted since they were due, by what they had then.
DELETED_TARGETS = """
SELECT DISTINCT ON (d.target_id) d.target_id, d.url, d.labels FROM {website_due} d
WHERE d.target_id > %(after)s AND d.target_id <= %(last)s
AND (%(target_id)s::bigint IS NULL OR d.target_id = %(target_id)s)
AND (%(label)s::jsonb = '{{}}' OR d.labels @> %(label)s::jsonb)
AND d.due_from < (%(until)s::date + 1)::timestamp AT TIME ZONE 'UTC'
AND coalesce(d.due_until > (%(from)s::date)::timestamp AT TIME ZONE 'UTC', true)
AND NOT EXISTS (SELECT FROM {website_target} t WHERE t.target_id = d.target_id)
ORDER BY d.target_id, d.due_from DESC LIMIT %(limit)s"""
# Each target by itself: for many at once the view reads the newest results of all targets there are.
STATUS = """
SELECT s.* FROM unnest(%(ids)s::bigint[]) AS one (target_id) CROSS JOIN LATERAL (
    SELECT target_id, url, location, status, reason, since, last_check_at, response_time_s, http_status,
        certificate_expires_at, availability_today, active, checked_at, extract(epoch FROM age)::float8 AS age_s, stale,
        error, remote_address, certificate_subject, certificate_issuer, labels
    FROM {website_status} v WHERE v.target_id = one.target_id OFFSET 0
) s ORDER BY s.target_id, s.location"""
RESULTS = """
SELECT target_id, url, location, scheduled_at, started_at, finished_at, status, reason, error, http_status,
    response_time_s, queue_delay_s, dns_s, connect_s, tls_s, first_byte_s, transfer_s, body_bytes, regexp_matched,
    remote_address, addresses_tried, final_url, redirects, certificate_expires_at, certificate_subject,
    certificate_issuer, chain_expires_at, chain_expires_subject, http_version, tls_version, producer_id
FROM {website_check}
WHERE target_id = %(target_id)s AND scheduled_at >= %(from)s AND scheduled_at < %(until)s
AND (location = %(location)s::text) IS NOT FALSE
AND ((scheduled_at, location) < (%(after_at)s::timestamptz, %(after_location)s::text)) IS NOT FALSE
ORDER BY scheduled_at DESC, location DESC LIMIT %(limit)s"""
INCIDENTS = """
SELECT target_id, url, location, began_at, ended_at, extract(epoch FROM duration)::float8 AS duration_s, reason,
    checks, end_reason, labels
FROM {website_incident}
WHERE (target_id = %(target_id)s::bigint) IS NOT FALSE
AND (%(label)s::jsonb = '{{}}' OR labels @> %(label)s::jsonb)
AND ((ended_at IS NULL) = %(open)s::boolean) IS NOT FALSE
AND began_at < coalesce(%(until)s, 'infinity'::timestamptz)
AND (%(from)s::timestamptz IS NULL OR began_at >= %(from)s OR coalesce(ended_at > %(from)s, true))
AND began_at <= coalesce(%(after_at)s, 'infinity'::timestamptz)
AND ((began_at, target_id, location)
    < (%(after_at)s::timestamptz, %(after_id)s::bigint, %(after_location)s::text)) IS NOT FALSE
ORDER BY began_at DESC, target_id DESC, location DESC LIMIT %(limit)s"""
NEWEST_TRANSITION = "SELECT coalesce(max(sequence), 0) AS sequence FROM {alert_transition}"
ALERTS = """
SELECT t.sequence, t.alert_id, t.state, t.severity, t.policy, t.kind, t.target_id, t.url, t.labels, t.since, t.at,
    t.locations, t.cause, t.silenced_window, t.step_s, a.acknowledged_at, a.acknowledged_by, a.note
FROM {alert_transition} t LEFT JOIN {alert_acknowledgement} a USING (alert_id)
WHERE t.sequence < coalesce(%(after)s::bigint, 9223372036854775807) AND t.sequence <= %(as_of)s
AND NOT EXISTS (
    SELECT FROM {alert_transition} n
    WHERE n.alert_id = t.alert_id AND n.sequence > t.sequence AND n.sequence <= %(as_of)s
)
AND (t.target_id = %(target_id)s::bigint) IS NOT FALSE
AND (%(label)s::jsonb = '{{}}' OR t.labels @> %(label)s::jsonb)
AND ((t.state NOT IN ('ok', 'resolved')) = %(open)s::boolean) IS NOT FALSE
ORDER BY t.sequence DESC LIMIT %(limit)s"""
_WINDOW = "window_id, match, begins_at, ends_at, zone, recurrence, ended_at, note, added_at, added_by"
MAINTENANCE = f"""
SELECT {_WINDOW}
FROM {{maintenance_window}} WHERE window_id < coalesce(%(after)s::bigint, 9223372036854775807)
AND ((ended_at IS NOT NULL) = %(ended)s::boolean) IS NOT FALSE
ORDER BY window_id DESC LIMIT %(limit)s"""
_NOTE = "note_id, target_id, began_at, noted_at, kind, text, public, added_by"
NOTES = f"""
SELECT {_NOTE} FROM {{incident_note}}
WHERE note_id < coalesce(%(after)s::bigint, 9223372036854775807) AND withdrawn_at IS NULL
AND (target_id = %(target_id)s::bigint) IS NOT FALSE
ORDER BY note_id DESC LIMIT %(limit)s"""
# What was due, as `dbadmin report` has it: each time in which a target had one interval, as far as it is rolled up,
# with its rows. Days and hours that lie within it are taken from the roll-ups, and days that are marked by their hours.
# In an hour that it has only a part of, rows are counted; if they are gone, the hour counts for the longest part of it.
AVAILABILITY = """
WITH asked AS (
    SELECT (%(from)s::date)::timestamp AT TIME ZONE 'UTC' AS begin_at,
        least((%(until)s::date + 1)::timestamp AT TIME ZONE 'UTC',
            date_trunc('hour', coalesce(rolled_up_until, '-infinity') - %(within)s::interval, 'UTC')) AS end_at
    FROM {availability_progress}
), marked AS (
    SELECT DISTINCT (day AT TIME ZONE 'UTC')::date AS day FROM {availability_dirty_day}
), span AS (
    SELECT row_number() OVER () AS span, d.target_id, d.location, d.check_interval_s,
        greatest(d.due_from, a.begin_at) AS begin_at, least(d.due_until, a.end_at) AS end_at
    FROM {website_due} d, asked a
    WHERE d.target_id = ANY(%(ids)s::bigint[])
    AND greatest(d.due_from, a.begin_at) < least(d.due_until, a.end_at)
), part AS (
    SELECT s.*, p.day FROM span s CROSS JOIN LATERAL (
        SELECT (s.begin_at AT TIME ZONE 'UTC')::date UNION SELECT (s.end_at AT TIME ZONE 'UTC')::date
        UNION SELECT day FROM marked
    ) p (day)
    WHERE p.day::timestamp AT TIME ZONE 'UTC' < s.end_at AND (p.day + 1)::timestamp AT TIME ZONE 'UTC' > s.begin_at
    AND (p.day IN (SELECT day FROM marked) OR p.day::timestamp AT TIME ZONE 'UTC' < s.begin_at
        OR (p.day + 1)::timestamp AT TIME ZONE 'UTC' > s.end_at)
), edge AS (
    SELECT e.*, row_number() OVER (
        PARTITION BY target_id, location, hour ORDER BY part_end - part_begin DESC, part_begin) AS rank
    FROM (
        SELECT s.*, h.hour, greatest(s.begin_at, h.hour) AS part_begin,
            least(s.end_at, h.hour + interval '1 hour') AS part_end
        FROM span s CROSS JOIN LATERAL (
            SELECT date_trunc('hour', s.begin_at, 'UTC') UNION SELECT date_trunc('hour', s.end_at, 'UTC')
        ) h (hour)
    ) e WHERE part_begin < part_end AND part_end - part_begin < interval '1 hour'
), counted AS (
    SELECT s.span, d.up, d.down, d.unknown FROM span s JOIN {website_availability_daily} d
        ON d.target_id = s.target_id AND d.location = s.location
        AND d.day::timestamp AT TIME ZONE 'UTC' >= s.begin_at
        AND (d.day + 1)::timestamp AT TIME ZONE 'UTC' <= s.end_at
    WHERE d.target_id = ANY(%(ids)s::bigint[]) AND d.day BETWEEN %(from)s::date AND %(until)s::date
    AND d.day NOT IN (SELECT day FROM marked)
    UNION ALL
    SELECT p.span, h.up, h.down, h.unknown FROM part p JOIN {website_availability_hourly} h
        ON h.target_id = p.target_id AND h.location = p.location
        AND h.hour >= greatest(p.begin_at, p.day::timestamp AT TIME ZONE 'UTC')
        AND h.hour <= least(p.end_at, (p.day + 1)::timestamp AT TIME ZONE 'UTC') - interval '1 hour'
    UNION ALL
    SELECT e.span, CASE WHEN r.rows >= h.up + h.down + h.unknown THEN r.up WHEN e.rank = 1 THEN h.up END,
        CASE WHEN r.rows >= h.up + h.down + h.unknown THEN r.down WHEN e.rank = 1 THEN h.down END,
        CASE WHEN r.rows >= h.up + h.down + h.unknown THEN r.unknown WHEN e.rank = 1 THEN h.unknown END
    FROM edge e JOIN {website_availability_hourly} h
        ON h.target_id = e.target_id AND h.location = e.location AND h.hour = e.hour
    CROSS JOIN LATERAL (
        SELECT count(*) AS rows, count(*) FILTER (WHERE inside AND status = 'up') AS up,
            count(*) FILTER (WHERE inside AND status = 'down') AS down,
            count(*) FILTER (WHERE inside AND status = 'unknown') AS unknown
        FROM (
            SELECT status, scheduled_at >= e.part_begin AND scheduled_at < e.part_end AS inside
            FROM {website_check} v WHERE v.target_id = e.target_id AND v.location = e.location
            AND v.scheduled_at >= e.hour AND v.scheduled_at < e.hour + interval '1 hour'
        ) v
    ) r
)
SELECT s.target_id, s.location, s.check_interval_s, s.begin_at, s.end_at, coalesce(sum(c.up), 0)::bigint AS up,
    coalesce(sum(c.down), 0)::bigint AS down, coalesce(sum(c.unknown), 0)::bigint AS unknown
FROM span s LEFT JOIN counted c USING (span)
GROUP BY s.span, s.target_id, s.location, s.check_interval_s, s.begin_at, s.end_at
ORDER BY s.target_id, s.location, s.begin_at"""

# What follows writes.

READ_ONLY = "SET TRANSACTION READ ONLY"

_COLUMNS = {name: column for name, column in TARGET_COLUMNS.items() if name != "id"}
_OBJECTS = (
    "headers",
    "labels",
    "further_regexps",
    "further_forbidden_regexps",
    "expected_headers",
    "expected_json",
    "secret_headers",
)
_VALUES = {name: f"%({name})s::jsonb" if name in _OBJECTS else f"%({name})s" for name in _COLUMNS}
ADD_TARGET = f"""
INSERT INTO {{availability_monitor_config}} ({", ".join(_COLUMNS.values())}) VALUES ({", ".join(_VALUES.values())})
ON CONFLICT (amc_url) DO NOTHING RETURNING amc_id"""
TARGET_OF_URL = "SELECT amc_id FROM {availability_monitor_config} WHERE amc_url = %(url)s"
LOCK_TARGET = f"""
SELECT amc_id AS id, {", ".join(f"{column} AS {name}" for name, column in _COLUMNS.items())}
FROM {{availability_monitor_config}} WHERE amc_id = %(target_id)s FOR UPDATE"""
CHANGE_TARGET = f"""
UPDATE {{availability_monitor_config}} SET {", ".join(f"{_COLUMNS[name]} = {value}" for name, value in _VALUES.items())}
WHERE amc_id = %(id)s"""
DELETE_TARGET = "DELETE FROM {availability_monitor_config} WHERE amc_id = %(target_id)s"
ADD_WINDOW = f"""
INSERT INTO {{maintenance_window}} (match, begins_at, ends_at, zone, recurrence, note)
VALUES (%(match)s::jsonb, %(begins_at)s, %(ends_at)s, %(zone)s, %(recurrence)s, %(note)s) RETURNING {_WINDOW}"""
# When it was ended before, that stays.
END_WINDOW = f"""
UPDATE {{maintenance_window}} SET ended_at = coalesce(ended_at, now()) WHERE window_id = %(window_id)s
RETURNING {_WINDOW}"""
ALERT_IS_KNOWN = "SELECT 1 AS known FROM {alert_transition} WHERE alert_id = %(alert_id)s LIMIT 1"
# Whoever looks after it first stays named, as with `alert-svc ack`.
ACKNOWLEDGE = """
INSERT INTO {alert_acknowledgement} AS old (alert_id, acknowledged_by, note) VALUES (%(alert_id)s, %(by)s, %(note)s)
ON CONFLICT (alert_id) DO UPDATE SET note = coalesce(excluded.note, old.note)
RETURNING alert_id, acknowledged_at, acknowledged_by, note"""
# The incident that is meant: the open one, or the one that was at a moment.
INCIDENT = """
SELECT coalesce(%(began_at)s::timestamptz, max(began_at)) AS began_at FROM {website_incident}
WHERE target_id = %(target_id)s AND CASE WHEN %(began_at)s::timestamptz IS NULL THEN ended_at IS NULL
    ELSE %(began_at)s::timestamptz BETWEEN began_at AND coalesce(ended_at, 'infinity') END
HAVING count(*) > 0"""
ADD_NOTE = f"""
INSERT INTO {{incident_note}} (target_id, began_at, kind, text, public)
VALUES (%(target_id)s, %(began_at)s, %(kind)s, %(text)s, %(public)s) RETURNING {_NOTE}"""
WITHDRAW_NOTE = """
UPDATE {incident_note} SET withdrawn_at = coalesce(withdrawn_at, now()) WHERE note_id = %(note_id)s RETURNING note_id"""
HOLD_KEY = "SELECT pg_advisory_xact_lock(hashtextextended(%(idempotency_key)s, %(token_id)s))"
EARLIER = """
SELECT request, status, location, answer FROM {status_write}
WHERE token_id = %(token_id)s AND idempotency_key = %(idempotency_key)s"""
WRITTEN = """
INSERT INTO {status_write} (token_id, token, operation, subject, idempotency_key, request, status, location, answer)
VALUES (%(token_id)s, %(token)s, %(operation)s, %(subject)s, %(idempotency_key)s, %(request)s, %(status)s, %(location)s,
    %(answer)s)"""
