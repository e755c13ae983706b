"""Fakes of the consumer's ports: in memory, at once, and broken when a test says so."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs

from consumer_svc.ports import RefusedError, WriteCounts
from monitoring_core.errors import OutageError
from monitoring_core.result import CheckResult, Status
from monitoring_runtime.stop import Stop

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Mapping, Sequence

    from consumer_svc.ports import DeadLetters, Poison, Source, Writer
    from monitoring_testkit.consumer.messages import FakeMessage

_LONGEST_HOLD_S = 30
# The count of rows in the default partition goes no further.
_MOST_COUNTED = 1_000


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@attrs.define
class FakeWriter:
    """A table in memory, with the rule of the real one: a real result replaces an unknown one, never the reverse.

    Attributes:
        refused: the target IDs whose results the database refuses.
        outages: how many of the next writes fail.
        away: while it is set, everything fails.
        free: while it is not set, a write waits.
        began: set as soon as a write begins.
        by_default: how many rows there are in the default partition.
        looks: how often they were counted.
        rows: the table.
    """

    refused: set[int] = attrs.field(factory=set)
    outages: int = 0
    by_default: int = 0
    looks: int = 0
    away: threading.Event = attrs.field(factory=threading.Event)
    free: threading.Event = attrs.field(factory=_set)
    began: threading.Event = attrs.field(factory=threading.Event)
    rows: dict[tuple[int, dt.datetime, str], CheckResult] = attrs.field(factory=dict)

    @property
    def stored(self) -> list[int]:
        """The target IDs of the rows, in the order in which they were stored."""
        return [result.target_id for result in self.rows.values()]

    def prepare(self) -> None:
        self._fail_while_away()

    def write(self, results: Sequence[CheckResult]) -> WriteCounts:
        self.began.set()
        if self.outages:
            self.outages -= 1
            raise _unreachable()
        self._fail_while_away()
        self.free.wait(_LONGEST_HOLD_S)
        if not self.refused.isdisjoint(result.target_id for result in results):
            raise RefusedError("no")
        new = _one_of_each_key(results)
        counts = WriteCounts(duplicates=len(results) - len(new))
        for result in new:
            counts += self._store(result)
        return counts

    def rows_by_default(self) -> int:
        self.looks += 1
        self._fail_while_away()
        return min(self.by_default, _MOST_COUNTED)

    def _store(self, result: CheckResult) -> WriteCounts:
        known = self.rows.get(result.key)
        if known and not _replaces(result, known):
            return WriteCounts(duplicates=1)
        self.rows[result.key] = result
        return WriteCounts(replaced=1) if known else WriteCounts(stored=1)

    def _fail_while_away(self) -> None:
        if self.away.is_set():
            raise _unreachable()


def _one_of_each_key(results: Sequence[CheckResult]) -> list[CheckResult]:
    kept: dict[tuple[int, dt.datetime, str], CheckResult] = {}
    for result in results:
        if result.key not in kept or _replaces(result, kept[result.key]):
            kept[result.key] = result
    return list(kept.values())


def _replaces(result: CheckResult, known: CheckResult) -> bool:
    return known.status is Status.UNKNOWN and result.status is not Status.UNKNOWN


def _unreachable() -> OutageError:
    return OutageError("PostgreSQL at db:5432 cannot be reached")


@attrs.define
class FakeDeadLetters:
    """The dead-letter topic in memory. While it is away, nothing can be sent."""

    sent: list[Poison] = attrs.field(factory=list)
    away: bool = False

    def send(self, poison: Sequence[Poison]) -> None:
        if self.away:
            raise OutageError("dead-letter topic cannot be written")
        self.sent += poison


class NoDeadLetters:
    """For tests in which nothing is poison."""

    def send(self, poison: Sequence[Poison]) -> None:
        raise AssertionError("nothing here is poison")


@attrs.define
class FakeSource:
    """Gives the messages that it was made with, and requests the stop when there are no more.

    Attributes:
        messages: what is left of them.
        assigned: also set by the first poll after `subscribe`.
        polls: the limit and the timeout of each poll.
        committed: the offsets of each commit.
        paused: what each call of `pause` asked for.
    """

    messages: list[FakeMessage]
    stop: Stop = attrs.field(factory=Stop)
    assigned: bool = True
    polls: list[tuple[int, float]] = attrs.field(factory=list)
    committed: list[Mapping[int, int]] = attrs.field(factory=list)
    paused: list[bool] = attrs.field(factory=list)
    closed: bool = False
    _on_revoked: Callable[[Collection[int]], None] | None = attrs.field(default=None, init=False)
    _partitions: set[int] = attrs.field(factory=set, init=False)

    def subscribe(self, on_revoked: Callable[[Collection[int]], None]) -> None:
        self._on_revoked = on_revoked

    def poll(self, limit: int, timeout_s: float) -> Sequence[FakeMessage]:
        self.polls.append((limit, timeout_s))
        self.assigned = self.assigned or self._on_revoked is not None
        if self.paused and self.paused[-1]:
            return []
        if not self.messages:
            self.stop.request()
        given, self.messages = self.messages[:limit], self.messages[limit:]
        self._partitions |= {message.partition() for message in given}
        return given

    def pause(self, paused: bool) -> None:
        self.paused.append(paused)

    def commit(self, offsets: Mapping[int, int]) -> None:
        if self.assigned:
            self.committed.append(dict(offsets))

    def close(self) -> None:
        if self._on_revoked and self.assigned:
            self._on_revoked(self._partitions)
        self.assigned = False
        self.closed = True


if TYPE_CHECKING:
    _writer: Writer = FakeWriter()
    _dead_letters: DeadLetters = FakeDeadLetters()
    _no_dead_letters: DeadLetters = NoDeadLetters()
    _source: Source = FakeSource([])
