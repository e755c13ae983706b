"""A check: one slot of one target, due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_core.clock import from_ms
from monitoring_core.result import CheckResult, Reason, unrun

if TYPE_CHECKING:
    import datetime as dt

    from monitoring_core.targets import Target


@attrs.frozen
class Check:
    """One slot of one target.

    Attributes:
        scheduled_ms: the slot, milliseconds since the epoch.
        due: the moment of the slot on the monotonic clock, seconds.
    """

    target: Target
    scheduled_ms: int
    due: float

    @property
    def scheduled_at(self) -> dt.datetime:
        """The slot, UTC."""
        return from_ms(self.scheduled_ms)

    @property
    def window_end_ms(self) -> int:
        """The next slot, milliseconds since the epoch, from which on it is too late to start this check."""
        return self.scheduled_ms + 1000 * self.target.settings.interval_s


@attrs.frozen
class Origin:
    """Who checks, and from where: what results of one producer have in common while it holds one ID."""

    producer_id: int
    location: str

    def unrun(self, check: Check, reason: Reason, error: str) -> CheckResult:
        """The result of a check that was not run, or not to its end."""
        return unrun(check.target.id, check.scheduled_at, self.location, self.producer_id, reason, error)
