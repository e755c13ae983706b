"""Fakes of what makes checks, and of the canaries that say whether the network works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_core.result import CheckResult, Status
from producer_svc.check import Origin

if TYPE_CHECKING:
    from monitoring_core.clock import Clock
    from producer_svc.check import Check
    from producer_svc.ports import Canaries, Engine


@attrs.define
class FakeEngine:
    """Ends each check that is due as up when its results are drained; never while it is not `instant`.

    Attributes:
        checks: those that run. One that a test adds without `submit` comes from producer 1 at `default`.
        lead_s: how early checks may be submitted. Without `clock`, all checks count as due.
    """

    places: int = 1000
    instant: bool = True
    checks: list[Check] = attrs.field(factory=list)
    lead_s: float = 0.0
    clock: Clock | None = None
    _origins: dict[tuple[int, int], Origin] = attrs.field(factory=dict, init=False)

    @property
    def free(self) -> int:
        begun = [check for check in self.checks if self.clock is None or check.due <= self.clock.monotonic()]
        return self.places - len(begun)

    @property
    def running(self) -> int:
        return len(self.checks)

    def submit(self, check: Check, origin: Origin) -> None:
        assert self.free > 0
        assert self.clock is None or check.due <= self.clock.monotonic() + self.lead_s
        self.checks.append(check)
        self._origins[check.target.id, check.scheduled_ms] = origin

    def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
        if not self.instant:
            return []
        running, self.checks = self.checks, []
        for check in running:
            if self.clock and check.due > self.clock.monotonic():
                self.checks.append(check)
        return [self._up(check) for check in running if check not in self.checks]

    def abandon(self) -> list[Check]:
        left, self.checks = self.checks, []
        return left

    def _up(self, check: Check) -> CheckResult:
        origin = self._origins.pop((check.target.id, check.scheduled_ms), Origin(1, "default"))
        return CheckResult(
            target_id=check.target.id,
            scheduled_at=check.scheduled_at,
            location=origin.location,
            producer_id=origin.producer_id,
            status=Status.UP,
        )


@attrs.define
class FakeCanaries:
    """Canaries that give the answer that a test sets after they were asked, once."""

    asked: int = 0
    answer: bool | None = None

    def ask(self) -> None:
        self.asked += 1
        self.answer = None

    def poll(self) -> bool | None:
        answer, self.answer = self.answer, None
        return answer


if TYPE_CHECKING:
    _engine: Engine = FakeEngine()
    _canaries: Canaries = FakeCanaries()
