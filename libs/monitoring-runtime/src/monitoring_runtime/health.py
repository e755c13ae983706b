"""Whether a process is alive and ready, in words."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from monitoring_core.clock import SystemClock

if TYPE_CHECKING:
    from monitoring_core.clock import Clock


class Health:
    """What `/healthz` and `/readyz` answer.

    A process is alive while its loop makes iterations, and ready while it can do its work. It starts alive and not
    ready.
    """

    def __init__(self, max_beat_age_s: float = 60.0, clock: Clock | None = None) -> None:
        """Args: max_beat_age_s: how long an iteration may take before the process counts as dead."""
        self._max_beat_age_s = max_beat_age_s
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._beat = self._clock.monotonic()
        self._not_ready: str | None = "starting"

    def beat(self) -> None:
        """Record that the loop begins an iteration."""
        self._beat = self._clock.monotonic()

    def set_ready(self) -> None:
        """Record that the service can do its work."""
        with self._lock:
            self._not_ready = None

    def set_not_ready(self, reason: str) -> None:
        """Record that the service cannot do its work, with the reason in one line."""
        with self._lock:
            self._not_ready = reason

    def liveness(self) -> tuple[bool, str]:
        """Whether the loop makes iterations, and one line about it."""
        age_s = self._clock.monotonic() - self._beat
        if age_s > self._max_beat_age_s:
            return False, f"the loop has not turned for {age_s:.0f} s"
        return True, "ok"

    def readiness(self) -> tuple[bool, str]:
        """Whether the service can do its work, and one line about it."""
        with self._lock:
            return self._not_ready is None, self._not_ready or "ok"
