"""Which checks are due, in the order in which they become so."""

from __future__ import annotations

import heapq
import itertools
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from monitoring_core.schedule import phase_ms, slot_at_or_after
from producer_svc.check import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from monitoring_core.clock import Clock
    from monitoring_core.target import Target


class Schedule:
    """The slots of every target, each taken once unless `begin_again` is called.

    Targets of one interval are due in the order of their phases, over and over: a wheel. The next check is the first of
    the wheels, whatever the number of targets. Slots that were due before a target was added come from a heap, and so
    do those that were due and not taken yet when it left its wheel: when nothing of the wheels is due, so that an hour
    which nobody checked does not hold up the checks of now.
    When the wall clock steps forward, the slots passed over come late.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wheels: dict[int, _Wheel] = {}
        self._next: list[tuple[int, int]] = []
        # Slot, id, the end of such slots, a number that leaves no two alike, and the target if it has left its wheel.
        self._late: list[tuple[int, int, int, int, Target | None]] = []
        self._numbers = itertools.count()
        self._targets: dict[int, Target] = {}
        # From when on the slots of targets count whose wheels were behind when they were added.
        self._since: dict[int, int] = {}

    def change(self, added: Sequence[tuple[Target, int]], removed: Iterable[int]) -> None:
        """Add targets, each with the moment (milliseconds since the epoch) from which its slots are to be taken, and
        remove others. A target that is known and keeps its interval keeps its slots, too.
        """
        fresh: dict[int, list[tuple[Target, int]]] = {}
        left: dict[int, Target] = {}
        for target_id in removed:
            if target := self._targets.pop(target_id, None):
                left[target_id] = target
        for target, from_ms in added:
            known = self._targets.get(target.id)
            self._targets[target.id] = target
            if known and known.interval_s == target.interval_s:
                self._wheels[target.interval_s].replace(target)
                continue
            if known:
                left[known.id] = known
            fresh.setdefault(target.interval_s, []).append((target, from_ms))
        if left:
            self._leave(left)
        for interval_s, entries in fresh.items():
            self._enter(interval_s, entries)
        self._next = [(wheel.next_ms, interval_s) for interval_s, wheel in self._wheels.items()]
        heapq.heapify(self._next)

    def leave(self) -> None:
        """Remove every target; what was due by now is still to be taken."""
        self.change((), sorted(self._targets, key=self._phase, reverse=True))

    def clear(self) -> None:
        """Remove every target, and what was due."""
        self._wheels, self._next, self._late, self._targets, self._since = {}, [], [], {}, {}

    def begin_again(self, moment_ms: int) -> None:
        """Take the slots since a moment (milliseconds since the epoch) once more, beside those not taken yet."""
        from_ms = moment_ms if self.next_ms is None else min(moment_ms, self.next_ms)
        targets = [(target, from_ms) for target in self._targets.values()]
        late = [entry for entry in self._late if entry[4]]
        self.clear()
        self._late = late
        heapq.heapify(self._late)
        self.change(targets, ())

    def take_due(self, limit: int) -> Iterator[Check]:
        """The checks that are due by now and have not been taken yet, at most `limit`: of the wheels, then late ones.

        Both are in order.
        """
        now_ms, now = self._clock.now_ms(), self._clock.monotonic()
        for _ in range(limit):
            if self._next and self._next[0][0] <= now_ms:
                slot_ms, target = self._take_from_wheel()
            elif self._late and self._late[0][0] <= now_ms:
                slot_ms, target = self._take_late()
            else:
                return
            if target:
                yield Check(target, slot_ms, now - (now_ms - slot_ms) / 1000)

    @property
    def next_ms(self) -> int | None:
        """The first slot that was not taken yet; None without targets."""
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

    def _take_from_wheel(self) -> tuple[int, Target | None]:
        """Take the first slot of the wheels; without the target when it does not count."""
        slot_ms, interval_s = self._next[0]
        wheel = self._wheels[interval_s]
        target = wheel.take()
        heapq.heapreplace(self._next, (wheel.next_ms, interval_s))
        if self._since and (since_ms := self._since.get(target.id)):
            if slot_ms < since_ms:
                return slot_ms, None
            del self._since[target.id]
        return slot_ms, target

    def _take_late(self) -> tuple[int, Target]:
        slot_ms, target_id, until_ms, number, left = self._late[0]
        target = left or self._targets[target_id]
        following_ms = slot_ms + 1000 * target.interval_s
        if following_ms < until_ms:
            heapq.heapreplace(self._late, (following_ms, target_id, until_ms, number, left))
        else:
            heapq.heappop(self._late)
        return slot_ms, target

    def _phase(self, target_id: int) -> int:
        return phase_ms(target_id, self._targets[target_id].interval_s)

    def _enter(self, interval_s: int, entries: list[tuple[Target, int]]) -> None:
        """Put targets on the wheel of their interval, and what was due before into the heap."""
        if interval_s not in self._wheels:
            newest_ms = max(from_ms for _, from_ms in entries)
            self._wheels[interval_s] = _Wheel(interval_s, max(self._clock.now_ms(), newest_ms))
        first_slots = self._wheels[interval_s].add([target for target, _ in entries])
        for (target, from_ms), until_ms in zip(entries, first_slots, strict=True):
            slot_ms = slot_at_or_after(target.id, interval_s, from_ms)
            if slot_ms < until_ms:
                heapq.heappush(self._late, (slot_ms, target.id, until_ms, next(self._numbers), None))
            elif slot_ms > until_ms:
                self._since[target.id] = slot_ms

    def _leave(self, targets: dict[int, Target]) -> None:
        """Take targets from their wheels. What they were due for by now is still to be taken."""
        end_ms = self._clock.now_ms() + 1
        late = [
            (slot_ms, target_id, min(until_ms, end_ms), number, left or targets.get(target_id))
            if target_id in targets
            else (slot_ms, target_id, until_ms, number, left)
            for slot_ms, target_id, until_ms, number, left in self._late
        ]
        for target in targets.values():
            wheel = self._wheels[target.interval_s]
            slot_ms = max(wheel.remove(target), self._since.pop(target.id, 0))
            late.append((slot_ms, target.id, end_ms, next(self._numbers), target))
            if not len(wheel):
                del self._wheels[target.interval_s]
        self._late = [entry for entry in late if entry[0] < entry[2]]
        heapq.heapify(self._late)


class _Wheel:
    """The targets of one interval, by phase, and a hand that stands before the next one."""

    def __init__(self, interval_s: int, moment_ms: int) -> None:
        self._interval_s = interval_s
        self._phases = array("I")
        self._targets: list[Target] = []
        self._hand = 0
        self._turn_ms = moment_ms - moment_ms % (1000 * interval_s)  # when this turn began
        self._from_ms = moment_ms

    def __len__(self) -> int:
        return len(self._targets)

    @property
    def next_ms(self) -> int:
        """The next slot."""
        return self._turn_ms + self._phases[self._hand]

    def take(self) -> Target:
        """The target of the next slot; the hand moves on."""
        target = self._targets[self._hand]
        self._hand += 1
        if self._hand == len(self._targets):
            self._hand = 0
            self._turn_ms += 1000 * self._interval_s
        return target

    def add(self, targets: Sequence[Target]) -> list[int]:
        """Add targets; the first slot of each that comes from here."""
        position_ms = self.next_ms if self._targets else self._from_ms
        interval_ms = 1000 * self._interval_s
        phases = [phase_ms(target.id, self._interval_s) for target in targets]
        slots = [position_ms + (phase - position_ms) % interval_ms for phase in phases]
        at = self._phases[self._hand] if self._targets else 0
        # Of those at the hand's own phase, the ones that this turn has passed already.
        passed = self._hand - bisect_left(self._phases, at)
        if len(targets) < len(self._targets) // 50:
            for target, phase in zip(targets, phases, strict=True):
                place = bisect_right(self._phases, phase)
                self._phases.insert(place, phase)
                self._targets.insert(place, target)
        else:
            self._phases.extend(phases)
            self._targets += targets
            order = sorted(range(len(self._phases)), key=self._phases.__getitem__)
            self._phases = array("I", [self._phases[place] for place in order])
            self._targets = [self._targets[place] for place in order]
        self._hand = bisect_left(self._phases, (position_ms - self._turn_ms) % interval_ms) + max(0, passed)
        if self._hand == len(self._targets):
            self._hand, self._turn_ms = 0, self._turn_ms + interval_ms
        return slots

    def remove(self, target: Target) -> int:
        """Remove a target; the next slot that it had."""
        place = self._place(target)
        slot_ms = self._turn_ms + self._phases[place] + (1000 * self._interval_s if place < self._hand else 0)
        del self._phases[place], self._targets[place]
        if place < self._hand:
            self._hand -= 1
        elif self._targets and self._hand == len(self._targets):
            self._hand, self._turn_ms = 0, self._turn_ms + 1000 * self._interval_s
        return slot_ms

    def replace(self, target: Target) -> None:
        """Put a target in the place of the one with the same id."""
        self._targets[self._place(target)] = target

    def _place(self, target: Target) -> int:
        place = bisect_left(self._phases, phase_ms(target.id, self._interval_s))
        while self._targets[place].id != target.id:
            place += 1
        return place
