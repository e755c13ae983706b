"""Whether a producer can do its work, and what would help."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import structlog

if TYPE_CHECKING:
    from monitoring_core.clock import Clock
    from monitoring_core.result import CheckResult
    from producer_svc.ports import Engine

log = structlog.get_logger()

# Seconds between two reports at least.
EVERY_S = 60.0
# The weight of a check in the moving average of how long checks take.
_WEIGHT = 0.01
# Plan for this share of the places in use on average; the rest is for checks that come together by chance.
_FILL = 0.7


@attrs.define
class Overload:
    """Reports how many checks missed their window for lack of a free place, and how many places they need.

    Attributes:
        missed: how many checks have missed their window since the last report.
    """

    _clock: Clock
    _max_concurrent: int
    missed: int = 0
    _check_s: float = attrs.field(default=0.0, init=False)
    _next_report: float = attrs.field(default=0.0, init=False)

    def finished(self, result: CheckResult) -> None:
        """Record how long a check occupied its place."""
        if result.started_at and result.finished_at:
            took_s = (result.finished_at - result.started_at).total_seconds()
            self._check_s += _WEIGHT * (took_s - self._check_s) if self._check_s else took_s

    def report(self, checks_per_second: float, engine: Engine) -> None:
        """Log what was missed and what would help, if anything was missed and the last report is old enough."""
        if not self.missed or self._clock.monotonic() < self._next_report:
            return
        self._next_report = self._clock.monotonic() + EVERY_S
        missed, self.missed = self.missed, 0
        places = math.ceil(checks_per_second * self._check_s / _FILL)
        if places > self._max_concurrent:
            mend = (
                f"{checks_per_second:.1f} checks a second of {self._check_s:.1f} s each need "
                f"monitor.max_concurrent_checks: {places}, or {math.ceil(places / self._max_concurrent)} producers "
                "in place of this one"
            )
        elif not engine.free:
            mend = "the checks need fewer places than there are: many came together, as after a pause"
        else:
            mend = "one host has more checks than monitor.max_per_host lets through in time"
        log.error("overloaded: checks missed their window", missed=missed, mend=mend)
