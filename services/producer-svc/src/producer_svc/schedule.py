"""Which checks are due, in the order of their slots."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

from monitoring_core.schedule import phase_ms, slot_at_or_after
from producer_svc.check import Check
from producer_svc.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from monitoring_core.clock import Clock
    from monitoring_core.targets import Target

# The slot, the target's id, the end of its late slots, a unique number that breaks ties, and the target if it has left
# its wheel. Moments are milliseconds since the epoch.
_Late = tuple[int, int, int, int, "Target | None"]


class Schedule:
    """The slots of every target, each popped once unless `begin_again` is called.

    Targets of one interval are due in the order of their phases, again and again: a wheel. The next check is the
    earliest of the next ones of all wheels, so that the number of targets does not matter. A heap holds late slots:
    those due before their target was added, and those due but not popped when their target left its wheel. Late slots
    come only when no wheel has a check due, so that an hour that nobody checked does not delay the checks of now.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wheels: dict[int, Wheel] = {}
        self._next: list[tuple[int, int]] = []
        self._late: list[_Late] = []
        self._numbers = itertools.count()
        self._targets: dict[int, Target] = {}
        # The first slot that counts, by id, for targets whose wheel also gives earlier ones.
        self._since: dict[int, int] = {}

    def change(self, added: Sequence[tuple[Target, int]], removed: Iterable[int]) -> None:
        """Add targets and remove others. A target that is known and keeps its interval keeps its slots, too.

        Args:
            added: each with the moment (milliseconds since the epoch) from which its slots are to be popped.
            removed: ids.
        """
        fresh: dict[int, list[tuple[Target, int]]] = {}
        left: dict[int, Target] = {}
        for target_id in removed:
            if target := self._targets.pop(target_id, None):
                left[target_id] = target
        for target, from_ms in added:
            known = self._targets.get(target.id)
            self._targets[target.id] = target
            if known and known.settings.interval_s == target.settings.interval_s:
                self._wheels[target.settings.interval_s].replace(target)
                continue
            if known:
                left[known.id] = known
            fresh.setdefault(target.settings.interval_s, []).append((target, from_ms))
        if left:
            self._leave(left)
        for interval_s, entries in fresh.items():
            self._enter(interval_s, entries)
        self._next = [(wheel.next_ms, interval_s) for interval_s, wheel in self._wheels.items()]
        heapq.heapify(self._next)

    def leave(self) -> None:
        """Remove every target; slots that are due by now can still be popped."""
        self.change((), sorted(self._targets, key=self._phase, reverse=True))

    def clear(self) -> None:
        """Remove every target and every slot."""
        self._wheels, self._next, self._late, self._targets, self._since = {}, [], [], {}, {}

    def begin_again(self, moment_ms: int) -> None:
        """Give the slots since `moment_ms` (since the epoch) once more, in addition to those not popped yet."""
        from_ms = moment_ms if self.next_ms is None else min(moment_ms, self.next_ms)
        targets = [(target, from_ms) for target in self._targets.values()]
        late = [entry for entry in self._late if entry[4]]
        self.clear()
        self._late = late
        heapq.heapify(self._late)
        self.change(targets, ())

    def pop_due(self, limit: int, lead_s: float = 0.0) -> Iterator[Check]:
        """The checks that are due in `lead_s` seconds and have not been popped yet, at most `limit`: first those of the
        wheels in order, then the late ones in order.
        """
        now_ms, now = self._clock.now_ms(), self._clock.monotonic()
        until_ms = now_ms + int(1000 * lead_s)
        for _ in range(limit):
            if self._next and self._next[0][0] <= until_ms:
                slot_ms, target = self._pop_from_wheel()
            elif self._late and self._late[0][0] <= until_ms:
                slot_ms, target = self._pop_late()
            else:
                return
            if target:
                yield Check(target, slot_ms, now - (now_ms - slot_ms) / 1000)

    @property
    def next_ms(self) -> int | None:
        """The first slot that was not popped yet; None without targets."""
        if self._late and (not self._next or self._late[0][0] <= self._next[0][0]):
            return self._late[0][0]
        return self._next[0][0] if self._next else None

    @property
    def seconds_to_next(self) -> float:
        """Seconds until a check is due; infinite when there is no target."""
        next_ms = self.next_ms
        return float("inf") if next_ms is None else max(0.0, (next_ms - self._clock.now_ms()) / 1000)

    @property
    def checks_per_second(self) -> float:
        """How many checks become due in a second, on average."""
        return sum(len(wheel) / interval_s for interval_s, wheel in self._wheels.items())

    def __len__(self) -> int:
        return len(self._targets)

    def _pop_from_wheel(self) -> tuple[int, Target | None]:
        """The first slot of all wheels and its target; None for the target when the slot does not count."""
        slot_ms, interval_s = self._next[0]
        wheel = self._wheels[interval_s]
        target = wheel.pop()
        heapq.heapreplace(self._next, (wheel.next_ms, interval_s))
        if self._since and (since_ms := self._since.get(target.id)):
            if slot_ms < since_ms:
                return slot_ms, None
            del self._since[target.id]
        return slot_ms, target

    def _pop_late(self) -> tuple[int, Target]:
        slot_ms, target_id, until_ms, number, left = self._late[0]
        target = left or self._targets[target_id]
        following_ms = slot_ms + 1000 * target.settings.interval_s
        if following_ms < until_ms:
            heapq.heapreplace(self._late, (following_ms, target_id, until_ms, number, left))
        else:
            heapq.heappop(self._late)
        return slot_ms, target

    def _phase(self, target_id: int) -> int:
        return phase_ms(target_id, self._targets[target_id].settings.interval_s)

    def _enter(self, interval_s: int, entries: list[tuple[Target, int]]) -> None:
        """Put targets on the wheel of their interval, and their earlier slots into the heap."""
        if interval_s not in self._wheels:
            newest_ms = max(from_ms for _, from_ms in entries)
            self._wheels[interval_s] = Wheel(interval_s, max(self._clock.now_ms(), newest_ms))
        first_slots = self._wheels[interval_s].add([target for target, _ in entries])
        for (target, from_ms), until_ms in zip(entries, first_slots, strict=True):
            slot_ms = slot_at_or_after(target.id, interval_s, from_ms)
            if slot_ms < until_ms:
                heapq.heappush(self._late, (slot_ms, target.id, until_ms, next(self._numbers), None))
            elif slot_ms > until_ms:
                self._since[target.id] = slot_ms

    def _leave(self, targets: dict[int, Target]) -> None:
        """Remove targets from their wheels; their slots that are due by now can still be popped."""
        end_ms = self._clock.now_ms() + 1
        late = [
            (slot_ms, target_id, min(until_ms, end_ms), number, left or targets.get(target_id))
            if target_id in targets
            else (slot_ms, target_id, until_ms, number, left)
            for slot_ms, target_id, until_ms, number, left in self._late
        ]
        for target in targets.values():
            wheel = self._wheels[target.settings.interval_s]
            slot_ms = max(wheel.remove(target), self._since.pop(target.id, 0))
            late.append((slot_ms, target.id, end_ms, next(self._numbers), target))
            if not len(wheel):
                del self._wheels[target.settings.interval_s]
        self._late = [entry for entry in late if entry[0] < entry[2]]
        heapq.heapify(self._late)
