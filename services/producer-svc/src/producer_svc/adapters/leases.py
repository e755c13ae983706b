"""Leases in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producer_svc.adapters.postgres import milliseconds

if TYPE_CHECKING:
    from monitoring_core.targets import CheckDefaults
    from producer_svc.adapters.postgres import ProducerConnection

_EXPIRES = "clock_timestamp() + make_interval(secs => %s)"
# From when on the slots of an ID that nobody held before are due. A location begins with its first producer; the first
# location of all with the targets themselves, each when it was activated.
_DUE_FROM = """coalesce(
    (SELECT min(due_from) FROM {producer_lease} WHERE location = %s),
    CASE WHEN EXISTS (SELECT FROM {producer_lease}) THEN clock_timestamp() ELSE to_timestamp(0) END)"""


class PostgresLeases:
    """Keeps the leases of one location, over the connection that the table of targets uses, too.

    PostgreSQL's clock decides when a lease expires, so that the clocks of producers need not agree.
    """

    def __init__(self, connection: ProducerConnection, location: str, holder: str, defaults: CheckDefaults) -> None:
        """A location as one process sees it.

        Args:
            holder: the name of this process in its lease; no other process has the same.
            defaults: kept with the lease, so that a view can tell when a result is late.
        """
        self._connection = connection
        self._location = location
        self._holder = holder
        self._defaults = defaults

    def acquire(self, producer_id: int, lease_s: float) -> int | None:
        """Acquire an ID for `lease_s` seconds and return its watermark (ms); None when another process holds it."""
        statement = (
            "INSERT INTO {producer_lease} AS old "  # noqa: S608
            "(location, producer_id, holder, expires_at, accounted_until, due_from, "
            f"check_interval_s, timeout_s) SELECT %s, %s, %s, {_EXPIRES}, due_from, due_from, %s, %s "
            f"FROM (SELECT {_DUE_FROM} AS due_from) d ON CONFLICT (location, producer_id) DO UPDATE "
            "SET holder = excluded.holder, expires_at = excluded.expires_at, "
            "check_interval_s = excluded.check_interval_s, timeout_s = excluded.timeout_s "
            "WHERE old.expires_at <= clock_timestamp() OR old.holder = excluded.holder "
            f"RETURNING {milliseconds('accounted_until')}"
        )
        defaults = (self._defaults.interval_s, self._defaults.timeout_s)
        values = (self._location, producer_id, self._holder, lease_s, *defaults, self._location)
        with self._connection.executed(statement, *values) as cursor:
            row = cursor.fetchone()
        return int(row[0]) if row else None

    def renew(self, producer_id: int, accounted_until_ms: int, lease_s: float) -> bool:
        """Renew the lease of an ID and raise its watermark; False when another process holds it."""
        return self._update(lease_s, producer_id, accounted_until_ms)

    def release(self, producer_id: int, accounted_until_ms: int) -> None:
        """Release an ID and raise its watermark."""
        self._update(0.0, producer_id, accounted_until_ms)

    def free(self, needed: int, limit: int) -> list[int]:
        """The lowest IDs from 1 to `needed` that nobody holds, at most `limit`."""
        statement = (
            "SELECT id FROM generate_series(1, %s) AS id WHERE NOT EXISTS (SELECT FROM {producer_lease} "
            "WHERE location = %s AND producer_id = id AND expires_at > clock_timestamp()) ORDER BY id LIMIT %s"
        )
        with self._connection.executed(statement, needed, self._location, limit) as cursor:
            return [int(row[0]) for row in cursor.fetchall()]

    def unheld_since(self, look_back_s: float) -> int | None:
        """The lowest watermark (ms) of expired leases within `look_back_s`; None without one."""
        statement = (
            f"SELECT {milliseconds('min(accounted_until)')} FROM {{producer_lease}} WHERE location = %s "  # noqa: S608 (constants)
            "AND expires_at <= clock_timestamp() AND accounted_until > clock_timestamp() - make_interval(secs => %s)"
        )
        with self._connection.executed(statement, self._location, look_back_s) as cursor:
            ((moment_ms,),) = cursor.fetchall()
        return None if moment_ms is None else int(moment_ms)

    def holder(self, producer_id: int) -> str | None:
        """Who held an ID last, for a person; None when nobody ever did."""
        statement = "SELECT holder FROM {producer_lease} WHERE location = %s AND producer_id = %s"
        with self._connection.executed(statement, self._location, producer_id) as cursor:
            row = cursor.fetchone()
        return str(row[0]) if row else None

    def _update(self, lease_s: float, producer_id: int, accounted_until_ms: int) -> bool:
        """Set the end of a lease and its watermark, which never goes back; False when another process holds it."""
        statement = (
            f"UPDATE {{producer_lease}} SET expires_at = {_EXPIRES}, "  # noqa: S608
            "accounted_until = greatest(accounted_until, to_timestamp(%s / 1000.0)) "
            "WHERE location = %s AND producer_id = %s AND holder = %s"
        )
        values = (lease_s, accounted_until_ms, self._location, producer_id, self._holder)
        with self._connection.executed(statement, *values) as cursor:
            return cursor.rowcount == 1
