"""What pages read from PostgreSQL: views and tables of alerts, each in one statement."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Protocol

from psycopg import sql

from monitoring_core.tables import ACKNOWLEDGEMENT_TABLE, TRANSITION_TABLE, WINDOW_TABLE
from status_svc.pages.model import DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = dict[str, Any]

_STATUS = """
SELECT target_id, url, location, status, reason, since, last_check_at, response_time_s, http_status,
    certificate_expires_at, active, coalesce(stale, false) AS stale, error, remote_address, certificate_subject,
    certificate_issuer, labels
FROM {schema}.website_status ORDER BY target_id, location"""
_DAYS = """
SELECT target_id, day, sum(up)::int AS up, sum(down)::int AS down, sum(unknown)::int AS unknown
FROM {schema}.website_availability_daily WHERE day > %(today)s::date - %(days)s GROUP BY target_id, day"""
_INCIDENTS = """
SELECT target_id, location, began_at, ended_at, reason, end_reason
FROM {schema}.website_incident WHERE coalesce(ended_at, now()) > %(today)s::timestamptz - make_interval(days => %(days)s)
ORDER BY began_at DESC LIMIT %(limit)s"""
_WINDOWS = """
SELECT window_id, match, begins_at, ends_at, zone, recurrence, ended_at, note FROM {schema}.{windows}
ORDER BY window_id"""
_HOURS = """
SELECT hour, sum(dns_s * up) / nullif(sum(up), 0) AS dns_s, sum(connect_s * up) / nullif(sum(up), 0) AS connect_s,
    sum(tls_s * up) / nullif(sum(up), 0) AS tls_s, sum(first_byte_s * up) / nullif(sum(up), 0) AS first_byte_s,
    sum(p50_s * up) / nullif(sum(up), 0) AS p50_s, max(p95_s) AS p95_s
FROM {schema}.website_availability_hourly WHERE target_id = %(target)s AND hour > %(now)s - interval '48 hours'
GROUP BY hour HAVING sum(up) > 0 ORDER BY hour"""
_CHECKS = """
SELECT scheduled_at, location, status, reason, error, http_status, response_time_s, remote_address, addresses_tried,
    final_url, redirects, certificate_subject, certificate_issuer, http_version, tls_version
FROM {schema}.website_check WHERE target_id = %(target)s AND scheduled_at > %(now)s - interval '2 days'
ORDER BY scheduled_at DESC, location LIMIT 50"""
_ALERTS = """
SELECT t.since, t.state, t.severity, t.policy, t.locations, t.cause, t.silenced_window, a.acknowledged_at,
    a.acknowledged_by, a.note
FROM (
    SELECT DISTINCT ON (alert_id) * FROM {schema}.{transitions} WHERE target_id = %(target)s
    ORDER BY alert_id, sequence DESC
) t LEFT JOIN {schema}.{acknowledgements} a USING (alert_id) ORDER BY t.at DESC LIMIT 20"""
_MOST_INCIDENTS = 5_000


class Fetch(Protocol):
    """Runs one statement and returns its rows by the names of their columns."""

    async def __call__(self, statement: sql.Composed, values: Row) -> list[Row]:
        """Raises: psycopg.Error: it cannot."""
        ...


class Queries:
    """The statements, run by `fetch`. Each method raises what `fetch` raises."""

    def __init__(self, fetch: Fetch, schema: str) -> None:
        self._fetch = fetch
        self._names = {
            "schema": sql.Identifier(schema),
            "windows": sql.Identifier(WINDOW_TABLE),
            "transitions": sql.Identifier(TRANSITION_TABLE),
            "acknowledgements": sql.Identifier(ACKNOWLEDGEMENT_TABLE),
        }

    async def status(self) -> list[Row]:
        """The status of every target at every location."""
        return await self._run(_STATUS)

    async def days(self, now: dt.datetime) -> list[Row]:
        """The checks of every target and day, over all locations, of the last 90 days."""
        return await self._run(_DAYS, today=now.date(), days=DAYS)

    async def incidents(self, now: dt.datetime) -> list[Row]:
        """Incidents at each location that are open or ended in the last 90 days, the newest first."""
        return await self._run(_INCIDENTS, today=now, days=DAYS, limit=_MOST_INCIDENTS)

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
        return await self._fetch(sql.SQL(statement).format(**self._names), values)
