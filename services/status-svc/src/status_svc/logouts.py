"""Which logins do not count any more before their time: whoever logged out, or was logged out by an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_core.config.status import LONGEST_SESSION
from monitoring_core.errors import OutageError
from monitoring_core.tables import EVERYBODY
from monitoring_runtime.outage import Outage
from status_svc.cached import Cached

if TYPE_CHECKING:
    import datetime as dt

    from monitoring_core.clock import Clock
    from status_svc.ports import Database

# All moments are by the clock of PostgreSQL, because those of several machines differ.
_NOW = "SELECT extract(epoch FROM clock_timestamp())::double precision AS now"
_ENDED = """
SELECT who, extract(epoch FROM max(ended_at))::double precision AS ended_at FROM {status_logout}
WHERE ended_at > now() - %(longest)s::interval GROUP BY who"""
_END = "INSERT INTO {status_logout} (who) VALUES (%(who)s)"


class Logouts:
    """The table status_logout, read for all logins at once and no more often than `status.cache` says.

    While PostgreSQL is away, what was read last holds.
    """

    def __init__(self, database: Database, cache: dt.timedelta, clock: Clock | None = None) -> None:
        self._database = database
        self._known: dict[str, float] | None = None
        self._outage = Outage("logins count as was read last", "who is logged in is known again")
        self._ended = Cached(self._read, cache.total_seconds(), clock)

    async def now(self) -> float:
        """The moment of a login, in seconds since the epoch.

        Raises:
            OutageError: PostgreSQL does not answer.
        """
        (row,) = await self._database.rows(_NOW)
        return float(row["now"])

    async def look(self) -> None:
        """Learn of what was ended elsewhere.

        Raises:
            OutageError: PostgreSQL does not answer, and never did.
        """
        await self._ended.get()

    def ended(self, who: str, since: float) -> bool:
        """Whether a login of this moment does not count any more, by the last look."""
        known = self._known or {}
        return since <= max(known.get(who, 0), known.get(EVERYBODY, 0))

    async def end(self, who: str) -> None:
        """End all logins that somebody has until now.

        Raises:
            OutageError: PostgreSQL does not answer.
        """
        await self._database.rows(_END, {"who": who})
        await self._ended.forget()

    async def _read(self) -> None:
        try:
            rows = await self._database.rows(_ENDED, {"longest": LONGEST_SESSION})
        except OutageError as error:
            if self._known is None:
                raise
            self._outage.lasts(str(error))
        else:
            self._outage.ends()
            self._known = {row["who"]: row["ended_at"] for row in rows}
