"""Which changes of the wall clock count as a step."""

from __future__ import annotations

import pytest

from monitoring_core.testing.clock import FakeClock
from producer_svc.clock_steps import ClockSteps


@pytest.mark.parametrize(
    ("set_by_s", "step_s"), [(5.0, 5.0), (-5.0, -5.0), (3_600.0, 3_600.0), (4.9, 0.0), (-4.9, 0.0)]
)
def test_a_step_is_one_of_five_seconds_or_more(set_by_s: float, step_s: float) -> None:
    """Less is what NTP corrects, and no reason to check slots again. Each step is told once."""
    clock = FakeClock()
    steps = ClockSteps(clock)
    clock.advance(60)
    assert steps.step_s() == 0.0
    clock.step_wall(set_by_s)
    clock.advance(1)
    assert steps.step_s() == step_s
    clock.advance(60)
    assert steps.step_s() == 0.0
