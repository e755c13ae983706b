"""Outages: why nothing can be done now, and when it is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import structlog

from monitoring_core.errors import OutageError
from monitoring_runtime.retry import OUTAGE, Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from alert_svc.metrics import Metrics
    from monitoring_core.clock import Clock

log = structlog.get_logger()


@attrs.define
class Patience:
    """Does work that may fail for an outage, and waits longer and longer between its tries.

    Attributes:
        outage: why nothing can be done now, in one line; None while it can.
    """

    clock: Clock
    metrics: Metrics
    outage: str | None = attrs.field(default=None, init=False)
    _backoff: Backoff = attrs.field(factory=OUTAGE.backoff, init=False)
    _retry_at: float = attrs.field(default=0.0, init=False)

    def attempt(self, work: Callable[[], None]) -> None:
        """Do work, unless it is too early for the next try."""
        if self.clock.monotonic() < self._retry_at:
            return
        try:
            work()
        except OutageError as error:
            self.metrics.outages.inc()
            if self.outage != str(error):
                log.warning("alerts cannot be decided, retrying", error=str(error))
            self.outage = str(error)
            self._retry_at = self.clock.monotonic() + self._backoff.next()
        else:
            if self.outage is not None:
                log.info("alerts are decided again")
            self.outage = None
            self._backoff.reset()
