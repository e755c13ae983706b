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
    _waiting: set[int] = attrs.field(factory=set, init=False)
    _running: Counter[str] = attrs.field(factory=Counter, init=False)
    _hosts: dict[_Key, str] = attrs.field(factory=dict, init=False)
    _numbers: itertools.count[int] = attrs.field(factory=itertools.count, init=False)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, check: Check) -> None:
        """Take in a check that is due."""
        number = next(self._numbers)
        self._waiting.add(number)
        heapq.heappush(self._ready, (check.scheduled_ms, number, check))
        heapq.heappush(self._deadlines, (check.window_end_ms, number, check))
        if len(self._deadlines) > 2 * len(self._waiting) + _STALE:
            self._deadlines = [deadline for deadline in self._deadlines if deadline[1] in self._waiting]
            heapq.heapify(self._deadlines)

    def missed(self, now_ms: int) -> Iterator[Check]:
        """Those whose window is over: they are taken out."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            _, number, check = heapq.heappop(self._deadlines)
            if number in self._waiting:
                self._waiting.remove(number)
                yield check

    def take(self) -> Check | None:
        """The first that may start, which counts as running from now on; None when there is none."""
        while self._ready:
            entry = heapq.heappop(self._ready)
            _, number, check = entry
            host = check.target.host
            if number not in self._waiting:
                self._unpark(host)
            elif self._running[host] >= self._max_per_host:
                self._parked.setdefault(host, deque()).append(entry)
            else:
                self._waiting.remove(number)
                self._running[host] += 1
                self._hosts[check.target.id, check.scheduled_ms] = host
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
            if entry[1] in self._waiting:
                heapq.heappush(self._ready, entry)
                break
        if parked is not None and not parked:
            del self._parked[host]

    def clear(self) -> list[Check]:
        """Take out all that wait."""
        left = [check for _, number, check in sorted(self._deadlines, key=lambda e: e[1]) if number in self._waiting]
        self._waiting.clear()
        self._deadlines.clear()
        self._ready.clear()
        self._parked.clear()
        return left
