"""What pages read from PostgreSQL: views and tables of alerts, each in one statement."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from status_svc.pages.model import DAYS, MOST_INCIDENTS, MOST_TARGETS
from status_svc.pages.searching import MOST_FURTHER

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from status_svc.ports import Database

Row = dict[str, Any]

# No id, and null in the place of all, while there are not too many.
_CHOSEN = """
SELECT CASE WHEN (SELECT count(*) FROM (SELECT FROM {website_target} LIMIT %(most)s + 1) known) > %(most)s THEN ARRAY(
    SELECT target_id FROM {website_target} WHERE coalesce(labels, '{{}}') @> %(labels)s::jsonb
    ORDER BY target_id LIMIT %(most)s) END AS targets"""
# Labels are as a page says them, one a line. Those that pages keep, the first with their labels, are not looked for.
_FOUND = """
SELECT target_id FROM {website_target}
WHERE lower(concat_ws(E'\n', url, (SELECT string_agg(name || '=' || value, E'\n')
    FROM jsonb_each_text(CASE jsonb_typeof(labels) WHEN 'object' THEN labels END) label (name, value))))
    LIKE ALL (ARRAY(SELECT lower(pattern) FROM unnest(%(patterns)s::text[]) pattern))
AND (target_id <= %(last)s AND coalesce(labels, '{{}}') @> %(labels)s::jsonb) IS NOT TRUE
ORDER BY target_id LIMIT %(limit)s"""
_STATUS = """
SELECT target_id, url, location, status, reason, since, last_check_at, response_time_s, http_status,
    certificate_expires_at, active, coalesce(stale, false) AS stale, error, remote_address, certificate_subject,
    certificate_issuer, labels
FROM {website_status} WHERE %(targets)s::bigint[] IS NULL OR target_id = ANY(%(targets)s)
ORDER BY target_id, location"""
# Most targets have the same counts on a day: ten thousand targets have a million days, and few that differ.
_DAYS = """
SELECT day, up, down, unknown, array_agg(target_id) AS targets FROM (
    SELECT target_id, day, sum(up)::int AS up, sum(down)::int AS down, sum(unknown)::int AS unknown
    FROM {website_availability_daily} WHERE day > %(today)s::date - %(days)s
    AND (%(targets)s::bigint[] IS NULL OR target_id = ANY(%(targets)s)) GROUP BY target_id, day
) d GROUP BY day, up, down, unknown"""
_INCIDENTS = """
SELECT target_id, location, began_at, ended_at, reason, end_reason
FROM {website_incident} WHERE coalesce(ended_at, now()) > %(today)s::timestamptz - make_interval(days => %(days)s)
AND (%(targets)s::bigint[] IS NULL OR target_id = ANY(%(targets)s))
ORDER BY ended_at IS NOT NULL, began_at DESC LIMIT %(limit)s"""
_NOTES = """
SELECT target_id, began_at, noted_at, kind, text, public FROM {incident_note}
WHERE withdrawn_at IS NULL AND noted_at > %(today)s::timestamptz - make_interval(days => %(days)s)
ORDER BY note_id DESC LIMIT %(limit)s"""
_WINDOWS = """
SELECT window_id, match, begins_at, ends_at, zone, recurrence, ended_at, note FROM {maintenance_window}
ORDER BY window_id"""
_HOURS = """
SELECT hour, sum(dns_s * up) / nullif(sum(up), 0) AS dns_s, sum(connect_s * up) / nullif(sum(up), 0) AS connect_s,
    sum(tls_s * up) / nullif(sum(up), 0) AS tls_s, sum(first_byte_s * up) / nullif(sum(up), 0) AS first_byte_s,
    sum(p50_s * up) / nullif(sum(up), 0) AS p50_s, max(p95_s) AS p95_s
FROM {website_availability_hourly} WHERE target_id = %(target)s AND hour > %(now)s - interval '48 hours'
GROUP BY hour HAVING sum(up) > 0 ORDER BY hour"""
_CHECKS = """
SELECT scheduled_at, location, status, reason, error, http_status, response_time_s, remote_address, addresses_tried,
    final_url, redirects, certificate_subject, certificate_issuer, http_version, tls_version
FROM {website_check} WHERE target_id = %(target)s AND scheduled_at > %(now)s - interval '2 days'
ORDER BY scheduled_at DESC, location LIMIT 50"""
_ALERTS = """
SELECT t.since, t.state, t.severity, t.policy, t.locations, t.cause, t.silenced_window, a.acknowledged_at,
    a.acknowledged_by, a.note
FROM (
    SELECT DISTINCT ON (alert_id) * FROM {alert_transition} WHERE target_id = %(target)s
    ORDER BY alert_id, sequence DESC
) t LEFT JOIN {alert_acknowledgement} a USING (alert_id) ORDER BY t.at DESC LIMIT 20"""
_MOST_NOTES = 5_000
# What has a meaning in a pattern of LIKE, and the same without it.
_SPECIAL, _PLAIN = r"[\\%_]", r"\\\g<0>"


class Queries:
    """The statements. Each method raises what status_svc.ports.Database raises.

    Where they have `targets`, these are the ids of those that pages show; None for all that there are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def chosen(self, labels: Mapping[str, str]) -> list[int] | None:
        """Which targets pages show: the first of those with these labels when there are too many, else None for all."""
        (row,) = await self._run(_CHOSEN, labels=msgspec.json.encode(labels).decode(), most=MOST_TARGETS)
        found: list[int] | None = row["targets"]
        return found

    async def found(self, words: Iterable[str], labels: Mapping[str, str], last: int) -> list[int]:
        """Which targets that pages leave out have all of these words in their URL or their labels: the first of them.

        Args:
            labels: of those that pages keep.
            last: the last one that they keep.
        """
        patterns = [f"%{re.sub(_SPECIAL, _PLAIN, word)}%" for word in words]
        values = {"patterns": patterns, "labels": msgspec.json.encode(labels).decode(), "last": last}
        return [row["target_id"] for row in await self._run(_FOUND, **values, limit=MOST_FURTHER)]

    async def status(self, targets: list[int] | None = None) -> list[Row]:
        """The status of every target at every location."""
        return await self._run(_STATUS, targets=targets)

    async def days(self, now: dt.datetime, targets: list[int] | None = None) -> list[Row]:
        """The checks of every day of the last 90, over all locations, each with the targets that have as many."""
        return await self._run(_DAYS, today=now.date(), days=DAYS, targets=targets)

    async def incidents(self, now: dt.datetime, targets: list[int] | None = None) -> list[Row]:
        """Incidents at each location that are open or ended in the last 90 days: the open ones, then the newest."""
        return await self._run(_INCIDENTS, today=now, days=DAYS, limit=MOST_INCIDENTS, targets=targets)

    async def notes(self, now: dt.datetime) -> list[Row]:
        """What people said of incidents in the last 90 days, the newest first."""
        return await self._run(_NOTES, today=now, days=DAYS, limit=_MOST_NOTES)

    async def windows(self) -> list[Row]:
        """All maintenance windows."""
        return await self._run(_WINDOWS)

    async def of_target(self, target_id: int, now: dt.datetime) -> tuple[Sequence[Row], Sequence[Row], Sequence[Row]]:
        """Hours, checks and alerts of one target."""
        return (
            await self._run(_HOURS, target=target_id, now=now),
            await self._run(_CHECKS, target=target_id, now=now),
            await self._run(_ALERTS, target=target_id),
        )

    async def _run(self, statement: str, **values: object) -> list[Row]:
        return await self._database.rows(statement, values)
