"""Checks that are due and wait for the engine."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer_svc.check import Check

_Key = tuple[int, int]
# So many that have started are among the deadlines at most, beside twice those that wait.
_STALE = 1_000


@attrs.define
class WaitingChecks:
    """In due order, except that those of a host of which enough are running hold up no others.

    A check is in the heap of those that may start, or parked with its host; and, while it waits, in the heap of
    deadlines, from where it is left out when it has started.
    """

    _max_per_host: int
    _ready: list[tuple[int, int, Check]] = attrs.field(factory=list, init=False)
    _parked: dict[str, deque[tuple[int, int, Check]]] = attrs.field(factory=dict, init=False)
    _deadlines: list[tuple[int, int, Check]] = attrs.field(factory=list, init=False)
    # The slots that wait, and the number of each one's entry; one that does not wait any more has entries, too.
    _waiting: dict[_Key, int] = attrs.field(factory=dict, init=False)
    _running: Counter[str] = attrs.field(factory=Counter, init=False)
    _hosts: dict[_Key, str] = attrs.field(factory=dict, init=False)
    _numbers: itertools.count[int] = attrs.field(factory=itertools.count, init=False)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, check: Check) -> bool:
        """Take in a check that is due; False when it waits or runs already, as after the clock was set back."""
        key = _key(check)
        if key in self._waiting or key in self._hosts:
            return False
        number = self._waiting[key] = next(self._numbers)
        heapq.heappush(self._ready, (check.scheduled_ms, number, check))
        heapq.heappush(self._deadlines, (check.window_end_ms, number, check))
        if len(self._deadlines) > 2 * len(self._waiting) + _STALE:
            self._deadlines = [entry for entry in self._deadlines if self._waits(entry[1], entry[2])]
            heapq.heapify(self._deadlines)
        return True

    def missed(self, now_ms: int) -> Iterator[Check]:
        """Those whose window is over: they are taken out."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            _, number, check = heapq.heappop(self._deadlines)
            if self._waits(number, check):
                del self._waiting[_key(check)]
                yield check

    def take(self) -> Check | None:
        """The first that may start, which counts as running from now on; None when there is none."""
        while self._ready:
            entry = heapq.heappop(self._ready)
            _, number, check = entry
            host = check.target.host
            if not self._waits(number, check):
                self._unpark(host)
            elif self._running[host] >= self._max_per_host:
                self._parked.setdefault(host, deque()).append(entry)
            else:
                del self._waiting[_key(check)]
                self._running[host] += 1
                self._hosts[_key(check)] = host
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
        self._unpark(host)

    def _unpark(self, host: str) -> None:
        """Let the next of a host try, when it has room."""
        if self._running[host] >= self._max_per_host:
            return
        parked = self._parked.get(host)
        while parked:
            entry = parked.popleft()
            if self._waits(entry[1], entry[2]):
                heapq.heappush(self._ready, entry)
                break
        if parked is not None and not parked:
            del self._parked[host]

    def clear(self) -> list[Check]:
        """Take out all that wait."""
        entries = sorted(self._deadlines, key=lambda e: e[1])
        left = [check for _, number, check in entries if self._waits(number, check)]
        self._waiting.clear()
        self._deadlines.clear()
        self._ready.clear()
        self._parked.clear()
        return left

    def _waits(self, number: int, check: Check) -> bool:
        return self._waiting.get(_key(check)) == number


def _key(check: Check) -> _Key:
    return check.target.id, check.scheduled_ms
