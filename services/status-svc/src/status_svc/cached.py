"""Answers that everybody gets alike: made once, kept for a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from monitoring_core.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from monitoring_core.clock import Clock

Value = TypeVar("Value")


class Cached(Generic[Value]):
    """Something that is made at most once in a time, however many ask for it.

    Whoever asks while it is made waits for it. What cannot be made is not kept: the next one tries again.
    """

    def __init__(self, make: Callable[[], Awaitable[Value]], age_s: float, clock: Clock | None = None) -> None:
        """Args: age_s: how long it is kept."""
        self._make = make
        self._age_s = age_s
        self._clock = clock or SystemClock()
        self._lock = asyncio.Lock()
        self._kept: tuple[float, Value] | None = None

    async def get(self) -> Value:
        """What is kept, or else is made now."""
        async with self._lock:
            now = self._clock.monotonic()
            if self._kept is None or now - self._kept[0] >= self._age_s:
                self._kept = now, await self._make()
            return self._kept[1]

    async def forget(self) -> None:
        """Keep nothing of until now: the next one who asks gets what is made after this."""
        async with self._lock:
            self._kept = None
