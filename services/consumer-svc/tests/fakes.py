"""Fakes of the consumer's ports, and the messages that they exchange."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Collection, Mapping, Sequence

import attrs

from consumer_svc.ports import Poison, Received, RefusedError, WriteCounts
from monitoring_core.codec import encode
from monitoring_core.errors import OutageError
from monitoring_core.result import CheckResult, Status
from monitoring_runtime.stop import Stop

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_LONGEST_HOLD_S = 30


@attrs.frozen(kw_only=True)
class FakeMessage:
    """A received message."""

    _partition: int
    _offset: int
    _key: bytes | None = None
    _value: bytes | None = None
    _timestamp: tuple[int, int] = (1, 0)

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return self._timestamp


def message(offset: int, value: bytes | None = None, partition: int = 0) -> FakeMessage:
    """A message with the result of target `offset + 1`, or with another value under the same key."""
    good = CheckResult(target_id=offset + 1, scheduled_at=AT, location="x", producer_id=1, status=Status.UP)
    return FakeMessage(
        partition=partition,
        offset=offset,
        key=b"%d" % (offset + 1),
        value=encode(good) if value is None else value,
    )


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
        away: while it is set, every write fails.
        free: while it is not set, a write waits.
        began: set as soon as a write begins.
        by_default: how many rows the default partition is said to have.
        looks: how often that was asked.
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
        """Do nothing: a fake needs no preparation."""

    def write(self, results: Sequence[CheckResult]) -> WriteCounts:
        self.began.set()
        if self.outages or self.away.is_set():
            self.outages = max(0, self.outages - 1)
            raise OutageError("PostgreSQL at db:5432 cannot be reached")
        self.free.wait(_LONGEST_HOLD_S)
        if not self.refused.isdisjoint(result.target_id for result in results):
            raise RefusedError("no")
        counts = WriteCounts()
        for result in results:
            counts += self._store(result)
        return counts

    def _store(self, result: CheckResult) -> WriteCounts:
        known = self.rows.get(result.key)
        if known and (known.status is not Status.UNKNOWN or result.status is Status.UNKNOWN):
            return WriteCounts(duplicates=1)
        self.rows[result.key] = result
        return WriteCounts(replaced=1) if known else WriteCounts(stored=1)

    def rows_by_default(self) -> int:
        self.looks += 1
        return self.by_default


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

    def subscribe(self, on_revoked: Callable[[Collection[int]], None]) -> None:
        """Do nothing: these tests revoke no partition."""

    def poll(self, limit: int, timeout_s: float) -> Sequence[Received]:
        self.polls.append((limit, timeout_s))
        if self.paused and self.paused[-1]:
            return []
        if not self.messages:
            self.stop.request()
        given, self.messages = self.messages[:limit], self.messages[limit:]
        return given

    def pause(self, paused: bool) -> None:
        self.paused.append(paused)

    def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed.append(dict(offsets))

    def close(self) -> None:
        self.closed = True
