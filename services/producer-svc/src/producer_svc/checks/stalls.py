"""Whether this process itself stood still: stopped, swapped out, or starved of the processor."""

from __future__ import annotations

import threading
import time
from collections import deque

from monitoring_core.result import Reason
from producer_svc.checks.ending import EndingError

# To wake a thread costs about 0.1 ms of processor time, more than all that it does then.
TICK_S = 0.25
# What comes later than this is no ordinary scheduling. A pause of TICK_S + STALL_S is always seen, whenever it begins.
STALL_S = 0.25


class StallWatch:
    """A thread that ticks; a tick that comes late is a stall. Safe to ask from any thread."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._stalls: deque[tuple[float, float]] = deque(maxlen=100)
        threading.Thread(target=self._run, name="stalls", daemon=True).start()

    def since(self, moment: float) -> float:
        """How long the process stood still since `moment` (monotonic, seconds), in seconds."""
        now = time.monotonic()
        # The tick after the stall may not have come yet.
        stalls = [*self._stalls, (now, now - self._last - TICK_S)]
        return sum(length for end, length in stalls if end > moment and length >= STALL_S)

    def tick(self) -> None:
        """Record a stall when this call comes late."""
        now = time.monotonic()
        late = now - self._last - TICK_S
        if late >= STALL_S:
            self._stalls.append((now, late))
        self._last = now

    def _run(self) -> None:
        # Not time.sleep: it waits for an absolute moment, which moves with the wall clock where that is faked.
        never = threading.Lock()
        never.acquire()
        while not never.acquire(timeout=TICK_S):
            self.tick()


def timed_out(timeout_s: float, stood_still_s: float, phase: str) -> EndingError:
    """The end of a check that used up its time: the website's fault, unless this process stood still meanwhile.

    Args:
        phase: what the check was at.
    """
    if stood_still_s >= STALL_S:
        return EndingError(Reason.PROBER_ERROR, f"the prober stood still for {stood_still_s:.1f} s")
    return EndingError(Reason.TIMEOUT, f"not finished within {timeout_s:g} s: {phase}")
