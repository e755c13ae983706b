"""Checks that wait for the engine, and how many of each host it has."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.clock import Clock
    from producer_svc.check import Check

# A slot: the target's id and the moment, milliseconds since the epoch.
_Slot = tuple[int, int]
# The moment that a heap sorts by (milliseconds), a unique number that breaks ties, the check, and its slot.
_Entry = tuple[int, int, "Check", _Slot]
# The heap of deadlines is cleaned up when it holds more than two entries for each waiting check and these.
_STALE = 1_000


@attrs.define
class WaitingChecks:
    """Checks in due order; one whose host already has enough running checks is parked and holds up no other.

    A waiting check has two entries: one in the heap of checks that may start, or parked with its host; and one in the
    heap of deadlines, where it may remain for a while after the check has started.

    A check that an engine has before it is due counts from then on: such an engine itself holds it back while its
    host has enough.
    """

    _max_per_host: int
    _clock: Clock
    _ready: list[_Entry] = attrs.field(factory=list, init=False)
    _parked: dict[str, deque[_Entry]] = attrs.field(factory=dict, init=False)
    _deadlines: list[_Entry] = attrs.field(factory=list, init=False)
    # The number of the current entries of each waiting slot; entries with another number are stale.
    _waiting: dict[_Slot, int] = attrs.field(factory=dict, init=False)
    _running: dict[str, int] = attrs.field(factory=dict, init=False)
    _hosts: dict[_Slot, str] = attrs.field(factory=dict, init=False)
    # The hosts of the checks that are not due yet, and those checks in the order in which they will be.
    _early: dict[_Slot, str] = attrs.field(factory=dict, init=False)
    _early_order: deque[tuple[float, _Slot]] = attrs.field(factory=deque, init=False)
    _numbers: itertools.count[int] = attrs.field(factory=itertools.count, init=False)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, check: Check) -> bool:
        """Add a check that is due; False when it waits or runs already, as after the clock was set back."""
        slot = check.target.id, check.scheduled_ms
        if slot in self._waiting or slot in self._hosts or slot in self._early:
            return False
        number = self._waiting[slot] = next(self._numbers)
        heapq.heappush(self._ready, (check.scheduled_ms, number, check, slot))
        heapq.heappush(self._deadlines, (check.window_end_ms, number, check, slot))
        if len(self._deadlines) > 2 * len(self._waiting) + _STALE:
            self._deadlines = [entry for entry in self._deadlines if self._waits(entry)]
            heapq.heapify(self._deadlines)
        return True

    def begin(self, check: Check) -> bool:
        """Count a check as running that need not wait; False when it must be added, because others may come first."""
        slot, host = (check.target.id, check.scheduled_ms), check.target.host
        now = self._clock.monotonic()
        self._count_due(now)
        running = self._running.get(host, 0)
        known = slot in self._hosts or slot in self._waiting or slot in self._early
        if self._ready or running >= self._max_per_host or known:
            return False
        if check.due > now:
            self._early[slot] = host
            self._early_order.append((check.due, slot))
        else:
            self._running[host] = running + 1
            self._hosts[slot] = host
        return True

    def pop_missed(self, now_ms: int) -> Iterator[Check]:
        """Remove and return the waiting checks whose window is over."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            entry = heapq.heappop(self._deadlines)
            if self._waits(entry):
                del self._waiting[entry[3]]
                yield entry[2]

    def pop(self) -> Check | None:
        """Remove and return the first check that may start, and count it as running; None when there is none."""
        self._count_due(self._clock.monotonic())
        while self._ready:
            entry = heapq.heappop(self._ready)
            _, _, check, slot = entry
            host = check.target.host
            running = self._running.get(host, 0)
            if not self._waits(entry):
                self._unpark(host)
            elif running >= self._max_per_host:
                self._parked.setdefault(host, deque()).append(entry)
            else:
                del self._waiting[slot]
                self._running[host] = running + 1
                self._hosts[slot] = host
                return check
        if not self._waiting:
            self._deadlines.clear()
        return None

    def done(self, target_id: int, scheduled_ms: int) -> None:
        """Record that a check has ended, which gives its host room for one more."""
        slot = target_id, scheduled_ms
        host = self._hosts.pop(slot, None)
        if host is None:
            self._early.pop(slot, None)
            return
        running = self._running[host] - 1
        if running:
            self._running[host] = running
        else:
            del self._running[host]
        if self._parked:
            self._unpark(host)

    def clear(self) -> list[Check]:
        """Remove and return all checks that wait."""
        entries = sorted(self._deadlines, key=lambda e: e[1])
        left = [entry[2] for entry in entries if self._waits(entry)]
        self._waiting.clear()
        self._deadlines.clear()
        self._ready.clear()
        self._parked.clear()
        return left

    def _count_due(self, now: float) -> None:
        """Count the early checks that are due by now."""
        while self._early_order and self._early_order[0][0] <= now:
            _, slot = self._early_order.popleft()
            host = self._early.pop(slot, None)
            if host is not None:
                self._running[host] = self._running.get(host, 0) + 1
                self._hosts[slot] = host

    def _unpark(self, host: str) -> None:
        """Move the next parked check of a host to the heap of checks that may start, when the host has room."""
        if self._running.get(host, 0) >= self._max_per_host:
            return
        parked = self._parked.get(host)
        while parked:
            entry = parked.popleft()
            if self._waits(entry):
                heapq.heappush(self._ready, entry)
                break
        if parked is not None and not parked:
            del self._parked[host]

    def _waits(self, entry: _Entry) -> bool:
        return self._waiting.get(entry[3]) == entry[1]
