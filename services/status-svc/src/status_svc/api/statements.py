"""The statements behind the API, on views and tables without secrets. Durations are seconds."""

from __future__ import annotations

_TARGET = """
SELECT target_id, url, active, check_interval_s, timeout_s, method, expected_status, regexp, labels, added_at, added_by
FROM {website_target}"""
TARGET = f"{_TARGET} WHERE target_id = %(target_id)s"
# An id that is asked for comes alone. Labels are compared only where there are any: most pages ask for none.
TARGETS = f"""{_TARGET}
WHERE target_id > %(after)s AND (%(target_id)s::bigint IS NULL OR target_id = %(target_id)s)
AND (%(label)s::jsonb = '{{{{}}}}' OR labels @> %(label)s::jsonb)
AND (active = %(active)s::boolean) IS NOT FALSE
ORDER BY target_id LIMIT %(limit)s"""
STATUS = """
SELECT target_id, url, location, status, reason, since, last_check_at, response_time_s, http_status,
    certificate_expires_at, availability_today, active, checked_at, extract(epoch FROM age)::float8 AS age_s, stale,
    error, remote_address, certificate_subject, certificate_issuer, labels
FROM {website_status} WHERE target_id = ANY(%(ids)s::bigint[]) ORDER BY target_id, location"""
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
AND began_at >= coalesce(%(from)s, '-infinity'::timestamptz) AND began_at < coalesce(%(until)s, 'infinity'::timestamptz)
AND began_at <= coalesce(%(after_at)s, 'infinity'::timestamptz)
AND ((began_at, target_id, location)
    < (%(after_at)s::timestamptz, %(after_id)s::bigint, %(after_location)s::text)) IS NOT FALSE
ORDER BY began_at DESC, target_id DESC, location DESC LIMIT %(limit)s"""
ALERTS = """
SELECT t.sequence, t.alert_id, t.state, t.severity, t.policy, t.kind, t.target_id, t.url, t.labels, t.since, t.at,
    t.locations, t.cause, t.silenced_window, t.step_s, a.acknowledged_at, a.acknowledged_by, a.note
FROM {alert_transition} t LEFT JOIN {alert_acknowledgement} a USING (alert_id)
WHERE t.sequence < coalesce(%(after)s::bigint, 9223372036854775807)
AND NOT EXISTS (SELECT FROM {alert_transition} n WHERE n.alert_id = t.alert_id AND n.sequence > t.sequence)
AND (t.target_id = %(target_id)s::bigint) IS NOT FALSE
AND (%(label)s::jsonb = '{{}}' OR t.labels @> %(label)s::jsonb)
AND ((t.state NOT IN ('ok', 'resolved')) = %(open)s::boolean) IS NOT FALSE
ORDER BY t.sequence DESC LIMIT %(limit)s"""
MAINTENANCE = """
SELECT window_id, match, begins_at, ends_at, zone, recurrence, ended_at, note, added_at, added_by
FROM {maintenance_window} WHERE window_id < coalesce(%(after)s::bigint, 9223372036854775807)
AND ((ended_at IS NOT NULL) = %(ended)s::boolean) IS NOT FALSE
ORDER BY window_id DESC LIMIT %(limit)s"""
# Every slot ends as one row: coverage is the share of them that has a verdict.
AVAILABILITY = """
SELECT t.target_id, t.url, t.labels, d.location, coalesce(d.up, 0) AS up, coalesce(d.down, 0) AS down,
    coalesce(d.unknown, 0) AS unknown, d.up::float8 / nullif(d.up + d.down, 0) AS availability,
    (d.up + d.down)::float8 / nullif(d.up + d.down + d.unknown, 0) AS coverage
FROM {website_target} t LEFT JOIN (
    SELECT target_id, location, sum(up)::bigint AS up, sum(down)::bigint AS down, sum(unknown)::bigint AS unknown
    FROM {website_availability_daily}
    WHERE target_id = ANY(%(ids)s::bigint[]) AND day BETWEEN %(from)s::date AND %(until)s::date
    GROUP BY target_id, location
) d ON d.target_id = t.target_id
WHERE t.target_id = ANY(%(ids)s::bigint[]) ORDER BY t.target_id, d.location"""
