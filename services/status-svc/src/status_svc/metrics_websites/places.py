"""What is known of each active target from each location: its status, and what its newest check measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from status_svc.ports import Database


class Place(NamedTuple):
    """A target as one location sees it. What is not known is None.

    Attributes:
        url: without user name and password.
        location: empty while no location has results of the target.
        status: up, down or unknown.
        reason: why it is not up.
        checked_at: when the newest check ended, in seconds since the epoch.
        expires_at: the first end of its certificates, of the last ones seen, in seconds since the epoch.
        http_version: 1.0, 1.1 or 2.
        tls_version: 1.2 or 1.3.
    """

    target_id: int
    url: str
    location: str
    status: str
    reason: str | None
    checked_at: float | None
    response_time_s: float | None
    http_status: int | None
    expires_at: float | None
    dns_s: float | None
    connect_s: float | None
    tls_s: float | None
    first_byte_s: float | None
    transfer_s: float | None
    http_version: str | None
    tls_version: str | None
    redirects: int | None
    body_bytes: int | None


# The newest check is looked up for each row by its key: a join might read all results that there are. What a stale
# check measured says nothing about now.
_READ = """
SELECT s.target_id, s.url, coalesce(s.location, ''), s.status, s.reason, extract(epoch FROM s.checked_at)::float8,
    CASE WHEN NOT s.stale THEN s.response_time_s END, CASE WHEN NOT s.stale THEN s.http_status END,
    extract(epoch FROM coalesce(c.chain_expires_at, s.certificate_expires_at))::float8,
    c.dns_s, c.connect_s, c.tls_s, c.first_byte_s, c.transfer_s, c.http_version, c.tls_version, c.redirects,
    c.body_bytes {labels}, s.omitted
FROM (
    SELECT *, count(*) OVER () - %(most)s AS omitted FROM {{website_status}} WHERE active
    ORDER BY target_id, location LIMIT %(most)s
) s LEFT JOIN LATERAL (
    SELECT c.dns_s, c.connect_s, c.tls_s, c.first_byte_s, c.transfer_s, c.http_version, c.tls_version, c.redirects,
        c.body_bytes, c.chain_expires_at
    FROM {{website_check}} c WHERE NOT s.stale
    AND c.target_id = s.target_id AND c.location = s.location AND c.scheduled_at = s.last_check_at LIMIT 1
) c ON true ORDER BY s.target_id, s.location"""
_WIDTH = len(Place._fields)


class Places:
    """Reads all places, at most so many."""

    def __init__(self, database: Database, labels: Sequence[str], most: int) -> None:
        """Args: labels: names of labels of the targets that are wanted. most: the most places."""
        self._database = database
        columns = "".join(f", s.labels ->> %(label_{number})s" for number in range(len(labels)))
        self._statement = _READ.format(labels=columns)
        self._values = {"most": most} | {f"label_{number}": label for number, label in enumerate(labels)}

    async def read(self) -> tuple[list[tuple[Place, tuple[str | None, ...]]], int]:
        """Each place with the values of its labels, and how many places are left out.

        Raises:
            OutageError: PostgreSQL does not answer.
        """
        rows = await self._database.tuples(self._statement, self._values)
        omitted = max(0, rows[-1][-1]) if rows else 0
        return [(Place(*row[:_WIDTH]), row[_WIDTH:-1]) for row in rows], omitted
