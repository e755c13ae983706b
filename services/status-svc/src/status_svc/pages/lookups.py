"""What is read for single pages: kept for a while, and of no more of them than so many at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from monitoring_core.errors import OutageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterator

    from monitoring_core.clock import Clock

T = TypeVar("T")


class Lookups(Generic[T]):
    """Readings by their keys. All methods belong to one event loop."""

    def __init__(self, clock: Clock, every_s: float, most: int) -> None:
        """Args: every_s: how long each is kept. most: how many are."""
        self._clock = clock
        self._every_s = every_s
        self._most = most
        self._kept: dict[Hashable, tuple[float, asyncio.Task[T]]] = {}

    async def get(self, key: Hashable, read: Callable[[], Coroutine[None, None, T]]) -> T:
        """What is kept of a key, or else is read now.

        Raises:
            OutageError: too many are looked at; and whatever `read` raises, which is kept too.
        """
        now = self._clock.monotonic()
        kept = self._kept.get(key)
        if kept is None or kept[0] <= now:
            for old in [one for one, (due, task) in self._kept.items() if due <= now and task.done()]:
                del self._kept[old]
            if len(self._kept) >= self._most:
                raise OutageError(f"more than {self._most} are looked at at once")
            kept = now + self._every_s, asyncio.create_task(read())
            self._kept[key] = kept
        return await asyncio.shield(kept[1])

    @property
    def tasks(self) -> Iterator[asyncio.Task[T]]:
        """All readings, also those that have ended."""
        return (task for _, task in self._kept.values())
