"""Which pauses of a process count as stalls."""

from __future__ import annotations

import threading

import pytest

from monitoring_core.result import Reason
from monitoring_core.testing.clock import FakeClock
from producer_svc.checks import stalls
from producer_svc.checks.stalls import StallWatch, timed_out


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of watches, whose thread never runs: a test ticks by hand."""
    fake = FakeClock()
    monkeypatch.setattr(stalls, "time", fake)
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    return fake


@pytest.mark.parametrize(("pause_s", "stood_still_s"), [(0.25, 0.0), (0.49, 0.0), (0.50, 0.25), (2.25, 2.0)])
@pytest.mark.parametrize("ticked", [False, True])
def test_a_stall_is_a_tick_that_is_a_quarter_of_a_second_late(
    pause_s: float, stood_still_s: float, ticked: bool, clock: FakeClock
) -> None:
    """Ticks come every 250 ms; a stall is seen before the tick after it, too."""
    watch, began = StallWatch(), clock.monotonic()
    clock.advance(pause_s + 1e-6)
    if ticked:
        watch.tick()
    assert watch.since(began) == pytest.approx(stood_still_s, abs=1e-3)


def test_stalls_add_up_and_those_of_before_do_not_count(clock: FakeClock) -> None:
    """A check is excused for what happened since it began."""
    watch = StallWatch()
    clock.advance(1.25)
    watch.tick()
    began = clock.monotonic()
    for pause_s in (0.25, 1.25, 0.25, 0.75):
        clock.advance(pause_s)
        watch.tick()
    assert watch.since(began) == pytest.approx(1.5)
    assert watch.since(clock.monotonic()) == 0.0


def test_a_timeout_while_the_prober_stood_still_is_its_own_fault(clock: FakeClock) -> None:
    """A process that was stopped in the middle cannot tell whether the website was slow."""
    watch, began = StallWatch(), clock.monotonic()
    clock.advance(0.3)
    ending = timed_out(1.0, watch.since(began), "connecting")
    assert (ending.reason, ending.detail) == (Reason.TIMEOUT, "not finished within 1 s: connecting")
    clock.advance(2.2)
    ending = timed_out(1.0, watch.since(began), "connecting")
    assert (ending.reason, ending.detail) == (Reason.PROBER_ERROR, "the prober stood still for 2.2 s")
