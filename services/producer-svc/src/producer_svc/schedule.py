"""Which checks are due, in the order in which they become so."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from monitoring_core.schedule import slot_at_or_after
from producer_svc.check import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from monitoring_core.clock import Clock
    from monitoring_core.target import Target


class Schedule:
    """The next slot of every target, as a heap.

    A target that is new or has another interval begins with its first slot from now on. When the wall clock steps
    back, no slot comes twice; when it steps forward, the slots that were passed over come late, none is left out.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._targets: dict[int, Target] = {}
        self._next_ms: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []

    def replace(self, targets: Iterable[Target], now_ms: int) -> None:
        """Work these targets, and no others, from now on."""
        before, self._targets = self._targets, {target.id: target for target in targets}
        for target_id in before.keys() - self._targets.keys():
            del self._next_ms[target_id]
        for target in self._targets.values():
            known = before.get(target.id)
            if known is None or known.interval_s != target.interval_s:
                self._next_ms[target.id] = slot_at_or_after(target.id, target.interval_s, now_ms)
        self._heap = [(slot_ms, target_id) for target_id, slot_ms in self._next_ms.items()]
        heapq.heapify(self._heap)

    def take_due(self) -> Iterator[Check]:
        """The checks that are due by now and have not been taken yet, in order."""
        now_ms, now = self._clock.now_ms(), self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now_ms:
            slot_ms, target_id = self._heap[0]
            target = self._targets[target_id]
            following_ms = self._next_ms[target_id] = slot_ms + 1000 * target.interval_s
            heapq.heapreplace(self._heap, (following_ms, target_id))
            yield Check(target, slot_ms, now - (now_ms - slot_ms) / 1000)

    def seconds_to_next(self) -> float:
        """Seconds until a check is due; infinite when there is no target."""
        if not self._heap:
            return float("inf")
        return max(0.0, (self._heap[0][0] - self._clock.now_ms()) / 1000)

    def __len__(self) -> int:
        return len(self._targets)
