"""How often a lease is renewed."""

from __future__ import annotations

from monitoring_core.targets import CheckDefaults, StatusSet, TargetRecord
from monitoring_core.testing.clock import FakeClock
from monitoring_testkit.producer.fakes.registry import FakeLeases, FakeTargetTable
from producer_svc.assignment import Assignment
from producer_svc.claim import Claim

DEFAULTS = CheckDefaults(interval_s=10, timeout_s=1.0, expected_status=StatusSet.parse("200-299"))


class Rig:
    """An assignment on fakes, whose lease lasts nine seconds."""

    def __init__(self, refresh_s: float) -> None:
        self.clock = FakeClock()
        self.targets = FakeTargetTable([TargetRecord(id=1, url="http://w.example/")], self.clock)
        self.leases = FakeLeases(self.clock)
        self.assignment = Assignment(self.targets, self.leases, Claim(1, 10, 0), DEFAULTS, 9.0, refresh_s, self.clock)
        self.poll()

    def poll(self) -> None:
        """Let the assignment do what is due now."""
        self.assignment.poll(self.clock.now_ms)
        while (step := self.assignment._step_running) is not None:
            step.exception(5)
            self.assignment.poll(self.clock.now_ms)

    def renewals_within(self, seconds: float) -> int:
        before = self.leases.renewals
        for _ in range(int(seconds / 0.125)):
            self.clock.advance(0.125)
            self.poll()
        return self.leases.renewals - before


def test_a_lease_is_renewed_three_times_while_it_lasts() -> None:
    """Two renewals may fail before another producer may take over."""
    rig = Rig(refresh_s=60.0)
    assert rig.leases.holders == {1: "me"}
    assert rig.renewals_within(9.0) == 3
    assert rig.renewals_within(9.0) == 3


def test_a_lease_is_renewed_with_each_look_at_the_targets() -> None:
    """Which comes more often, when they are to be read again sooner."""
    assert Rig(refresh_s=1.0).renewals_within(9.0) == 9
