"""Outages: why nothing can be done now, and when it is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_core.errors import OutageError
from monitoring_runtime.outage import Outage
from monitoring_runtime.retry import OUTAGE, Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from alert_svc.metrics import Metrics
    from monitoring_core.clock import Clock


@attrs.define
class Patience:
    """Does work that may fail for an outage, and waits longer and longer between its tries."""

    clock: Clock
    metrics: Metrics
    _outage: Outage = attrs.field(
        factory=lambda: Outage("alerts cannot be decided, retrying", "alerts are decided again"), init=False
    )
    _backoff: Backoff = attrs.field(factory=OUTAGE.backoff, init=False)
    _retry_at: float = attrs.field(default=0.0, init=False)

    @property
    def outage(self) -> str | None:
        """Why nothing can be done now, in one line; None while it can."""
        return self._outage.why

    def attempt(self, work: Callable[[], None]) -> None:
        """Do work, unless it is too early for the next try."""
        if self.clock.monotonic() < self._retry_at:
            return
        try:
            work()
        except OutageError as error:
            self.metrics.outages.inc()
            self._outage.lasts(str(error))
            self._retry_at = self.clock.monotonic() + self._backoff.next()
        else:
            self._outage.ends()
            self._backoff.reset()
