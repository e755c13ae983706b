"""Slots that were popped from the schedule and whose results are not in Kafka yet."""

from __future__ import annotations


class UnaccountedSlots:
    """Counts slots by second, so that a million slots take little memory and the oldest is found quickly."""

    def __init__(self) -> None:
        self._by_second: dict[int, int] = {}

    def add(self, slot_ms: int) -> None:
        """Add a slot (milliseconds since the epoch) that was popped."""
        second = slot_ms // 1_000
        self._by_second[second] = self._by_second.get(second, 0) + 1

    def remove(self, slot_ms: int) -> None:
        """Remove a slot whose result is in Kafka or was dropped, or for which another producer accounts."""
        second = slot_ms // 1_000
        left = self._by_second.get(second, 0) - 1
        if left > 0:
            self._by_second[second] = left
        else:
            self._by_second.pop(second, None)

    @property
    def oldest_ms(self) -> int | None:
        """The second of the oldest slot, milliseconds since the epoch; None without slots."""
        return 1_000 * min(self._by_second) if self._by_second else None
