"""Checks that are due and wait for the engine."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer_svc.check import Check

_Key = tuple[int, int]
# By what it is sorted, a number that leaves no two alike, the check, and its key.
_Entry = tuple[int, int, "Check", _Key]
# So many that have started are among the deadlines at most, beside twice those that wait.
_STALE = 1_000


@attrs.define
class WaitingChecks:
    """In due order, except that those of a host of which enough are running hold up no others.

    A check is in the heap of those that may start, or parked with its host; and, while it waits, in the heap of
    deadlines, from where it is left out when it has started.
    """

    _max_per_host: int
    _ready: list[_Entry] = attrs.field(factory=list, init=False)
    _parked: dict[str, deque[_Entry]] = attrs.field(factory=dict, init=False)
    _deadlines: list[_Entry] = attrs.field(factory=list, init=False)
    # The slots that wait, and the number of each one's entry; one that does not wait any more has entries, too.
    _waiting: dict[_Key, int] = attrs.field(factory=dict, init=False)
    _running: dict[str, int] = attrs.field(factory=dict, init=False)
    _hosts: dict[_Key, str] = attrs.field(factory=dict, init=False)
    _numbers: itertools.count[int] = attrs.field(factory=itertools.count, init=False)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, check: Check) -> bool:
        """Take in a check that is due; False when it waits or runs already, as after the clock was set back."""
        key = check.target.id, check.scheduled_ms
        if key in self._waiting or key in self._hosts:
            return False
        number = self._waiting[key] = next(self._numbers)
        heapq.heappush(self._ready, (check.scheduled_ms, number, check, key))
        heapq.heappush(self._deadlines, (check.window_end_ms, number, check, key))
        if len(self._deadlines) > 2 * len(self._waiting) + _STALE:
            self._deadlines = [entry for entry in self._deadlines if self._waits(entry)]
            heapq.heapify(self._deadlines)
        return True

    def missed(self, now_ms: int) -> Iterator[Check]:
        """Those whose window is over: they are taken out."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            entry = heapq.heappop(self._deadlines)
            if self._waits(entry):
                del self._waiting[entry[3]]
                yield entry[2]

    def take(self) -> Check | None:
        """The first that may start, which counts as running from now on; None when there is none."""
        while self._ready:
            entry = heapq.heappop(self._ready)
            _, _, check, key = entry
            host = check.target.host
            running = self._running.get(host, 0)
            if not self._waits(entry):
                self._unpark(host)
            elif running >= self._max_per_host:
                self._parked.setdefault(host, deque()).append(entry)
            else:
                del self._waiting[key]
                self._running[host] = running + 1
                self._hosts[key] = host
                return check
        if not self._waiting:
            self._deadlines.clear()
        return None

    def done(self, target_id: int, scheduled_ms: int) -> None:
        """A check has ended: its host has room for one more."""
        host = self._hosts.pop((target_id, scheduled_ms), None)
        if host is None:
            return
        self._running[host] -= 1
        if not self._running[host]:
            del self._running[host]
        if self._parked:
            self._unpark(host)

    def _unpark(self, host: str) -> None:
        """Let the next of a host try, when it has room."""
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

    def clear(self) -> list[Check]:
        """Take out all that wait."""
        entries = sorted(self._deadlines, key=lambda e: e[1])
        left = [entry[2] for entry in entries if self._waits(entry)]
        self._waiting.clear()
        self._deadlines.clear()
        self._ready.clear()
        self._parked.clear()
        return left

    def _waits(self, entry: _Entry) -> bool:
        return self._waiting.get(entry[3]) == entry[1]
