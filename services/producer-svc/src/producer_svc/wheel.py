"""The targets of one interval in the order in which their slots come."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from monitoring_core.schedule import phase_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_core.targets import Target

# When fewer than 1/_FEW of the targets are new, inserting each is cheaper than sorting all.
_FEW = 50


class Wheel:
    """Targets by phase, and a hand that points to the next one. In one revolution each target has one slot."""

    def __init__(self, interval_s: int, moment_ms: int) -> None:
        self._interval_s = interval_s
        self._phases = array("I")
        self._targets: list[Target] = []
        self._hand = 0
        self._revolution_ms = moment_ms - moment_ms % (1000 * interval_s)  # when this revolution began
        self._from_ms = moment_ms

    def __len__(self) -> int:
        return len(self._targets)

    @property
    def next_ms(self) -> int:
        """The next slot, milliseconds since the epoch."""
        return self._revolution_ms + self._phases[self._hand]

    def pop(self) -> Target:
        """Return the target of the next slot, and move the hand on."""
        target = self._targets[self._hand]
        self._hand += 1
        if self._hand == len(self._targets):
            self._hand = 0
            self._revolution_ms += 1000 * self._interval_s
        return target

    def add(self, targets: Sequence[Target]) -> list[int]:
        """Add targets; returns the first slot that the wheel gives for each."""
        position_ms = self.next_ms if self._targets else self._from_ms
        interval_ms = 1000 * self._interval_s
        phases = [phase_ms(target.id, self._interval_s) for target in targets]
        slots = [position_ms + (phase - position_ms) % interval_ms for phase in phases]
        # Several targets may share the phase at the hand: count those that this revolution has already passed.
        at = self._phases[self._hand] if self._targets else 0
        passed = self._hand - bisect_left(self._phases, at)
        self._insert(targets, phases)
        self._hand = bisect_left(self._phases, (position_ms - self._revolution_ms) % interval_ms) + max(0, passed)
        if self._hand == len(self._targets):
            self._hand, self._revolution_ms = 0, self._revolution_ms + interval_ms
        return slots

    def remove(self, target: Target) -> int:
        """Remove a target; returns the next slot that it had."""
        place = self._place(target)
        interval_ms = 1000 * self._interval_s
        slot_ms = self._revolution_ms + self._phases[place] + (interval_ms if place < self._hand else 0)
        del self._phases[place], self._targets[place]
        if place < self._hand:
            self._hand -= 1
        elif self._targets and self._hand == len(self._targets):
            self._hand, self._revolution_ms = 0, self._revolution_ms + interval_ms
        return slot_ms

    def replace(self, target: Target) -> None:
        """Put a target in the place of the one with the same id."""
        self._targets[self._place(target)] = target

    def _insert(self, targets: Sequence[Target], phases: Sequence[int]) -> None:
        """Put targets where their phases belong. The hand is not moved."""
        if len(targets) < len(self._targets) // _FEW:
            for target, phase in zip(targets, phases, strict=True):
                place = bisect_right(self._phases, phase)
                self._phases.insert(place, phase)
                self._targets.insert(place, target)
            return
        self._phases.extend(phases)
        self._targets += targets
        order = sorted(range(len(self._phases)), key=self._phases.__getitem__)
        self._phases = array("I", [self._phases[place] for place in order])
        self._targets = [self._targets[place] for place in order]

    def _place(self, target: Target) -> int:
        place = bisect_left(self._phases, phase_ms(target.id, self._interval_s))
        while self._targets[place].id != target.id:
            place += 1
        return place
