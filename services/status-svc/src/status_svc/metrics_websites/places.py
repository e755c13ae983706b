"""What is known of each active target from each location: its status, and what its newest check measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from status_svc.ports import Database

Texts = tuple[str | None, ...]


class Places(NamedTuple):
    """Targets as locations see them: of each attribute a value for each place, as text; None for what is not known.

    Attributes:
        url: without user name and password.
        location: empty while no location has results of the target.
        status: up, down or unknown.
        reason: why it is not up.
        checked_at: when the newest check ended, in seconds since the epoch.
        expires_at: the first end of its certificates, of the last ones seen, in seconds since the epoch.
        http_version: 1.0, 1.1 or 2.
        tls_version: 1.2 or 1.3.
        remote_address: of the last connection.
    """

    target_id: Texts = ()
    url: Texts = ()
    location: Texts = ()
    status: Texts = ()
    reason: Texts = ()
    checked_at: Texts = ()
    response_time_s: Texts = ()
    http_status: Texts = ()
    expires_at: Texts = ()
    dns_s: Texts = ()
    connect_s: Texts = ()
    tls_s: Texts = ()
    first_byte_s: Texts = ()
    transfer_s: Texts = ()
    http_version: Texts = ()
    tls_version: Texts = ()
    redirects: Texts = ()
    body_bytes: Texts = ()
    remote_address: Texts = ()


# The newest check is looked up for each row by its key: a join might read all results that there are. What a stale
# check measured says nothing about now.
_READ = """
SELECT s.target_id::text, s.url, coalesce(s.location, ''), s.status, s.reason, extract(epoch FROM s.checked_at)::text,
    CASE WHEN NOT s.stale THEN s.response_time_s END::text, CASE WHEN NOT s.stale THEN s.http_status END::text,
    extract(epoch FROM coalesce(c.chain_expires_at, s.certificate_expires_at))::text, c.dns_s::text, c.connect_s::text,
    c.tls_s::text, c.first_byte_s::text, c.transfer_s::text, c.http_version, c.tls_version, c.redirects::text,
    c.body_bytes::text, CASE WHEN NOT s.stale THEN s.remote_address END {labels}, s.omitted
FROM (
    SELECT *, count(*) OVER () - %(most)s AS omitted FROM {{website_status}} WHERE active
    ORDER BY target_id, location LIMIT %(most)s
) s LEFT JOIN LATERAL (
    SELECT c.dns_s, c.connect_s, c.tls_s, c.first_byte_s, c.transfer_s, c.http_version, c.tls_version, c.redirects,
        c.body_bytes, c.chain_expires_at
    FROM {{website_check}} c WHERE NOT s.stale
    AND c.target_id = s.target_id AND c.location = s.location AND c.scheduled_at = s.last_check_at LIMIT 1
) c ON true ORDER BY s.target_id, s.location"""
_WIDTH = len(Places._fields)


class Reader:
    """Reads all places, at most so many."""

    def __init__(self, database: Database, labels: Sequence[str], most: int) -> None:
        """Args: labels: names of labels of the targets that are wanted. most: the most places."""
        self._database = database
        columns = "".join(f", s.labels ->> %(label_{number})s" for number in range(len(labels)))
        self._statement = _READ.format(labels=columns)
        self._values = {"most": most} | {f"label_{number}": label for number, label in enumerate(labels)}

    async def read(self) -> tuple[Places, list[Texts], int]:
        """All places, of each label its value for each place, and how many places are left out.

        Raises:
            OutageError: PostgreSQL does not answer.
        """
        rows = await self._database.tuples(self._statement, self._values)
        if not rows:
            return Places(), [() for _ in self._values.keys() - {"most"}], 0
        columns = list(zip(*rows, strict=True))
        return Places(*columns[:_WIDTH]), columns[_WIDTH:-1], max(0, rows[0][-1])
