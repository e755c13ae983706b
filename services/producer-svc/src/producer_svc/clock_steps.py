"""Whether somebody has set the machine's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from monitoring_core.clock import Clock

# A smaller step is ignored: NTP corrects such errors slowly, and checks come late or early by no more than this.
MIN_STEP_S = 5.0


@attrs.define
class ClockSteps:
    """Compares the wall clock with the monotonic one, from call to call."""

    _clock: Clock
    _ahead_s: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ahead_s = self._measure_s()

    def step_s(self) -> float:
        """By how many seconds the wall clock was set since the last call, negative when it was set back.

        0 for less than `MIN_STEP_S`. A machine that slept counts as set forward: the monotonic clock slept, too.
        """
        before_s, self._ahead_s = self._ahead_s, self._measure_s()
        step_s = self._ahead_s - before_s
        return step_s if abs(step_s) >= MIN_STEP_S else 0.0

    def _measure_s(self) -> float:
        return self._clock.now_ms() / 1000 - self._clock.monotonic()
