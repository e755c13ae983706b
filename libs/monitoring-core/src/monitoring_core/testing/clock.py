"""A clock that stands still until a test moves it."""

from __future__ import annotations


class FakeClock:
    """A Clock whose wall and monotonic time move together, or apart as when somebody sets the machine's clock."""

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self._now_ms = float(now_ms)
        self._monotonic_s = 1_000.0

    def now_ms(self) -> int:
        """Wall clock: whole milliseconds since the UTC epoch. It starts at 2026-01-01T00:00:00Z."""
        return int(self._now_ms)

    def monotonic(self) -> float:
        """Monotonic clock: seconds since an arbitrary moment."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            ValueError: `seconds` is negative; `step_wall` sets the wall clock back.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back, got {seconds}")
        self._now_ms += seconds * 1000
        self._monotonic_s += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back; the monotonic one does not notice."""
        self._now_ms += seconds * 1000
