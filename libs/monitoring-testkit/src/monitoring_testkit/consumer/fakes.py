"""Fakes of the consumer's ports: in memory, at once, and broken when a test says so."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs

from consumer_svc.places import Gap, Places
from consumer_svc.ports import BehindError, RefusedError, WriteCounts
from monitoring_core.errors import OutageError
from monitoring_core.result import CheckResult, Status
from monitoring_runtime.stop import Stop
from monitoring_runtime.topics import Topic, TopicState

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Mapping, Sequence

    from consumer_svc.places import Asked, Progress
    from consumer_svc.ports import DeadLetters, Poison, Source, TopicStates, Writer
    from monitoring_testkit.consumer.messages import FakeMessage

TOPIC = Topic("cluster", "website_availability", "first")
PARTITIONS = range(4)
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
        positions: how far each partition of each topic is stored.
    """

    refused: set[int] = attrs.field(factory=set)
    outages: int = 0
    by_default: int = 0
    looks: int = 0
    away: threading.Event = attrs.field(factory=threading.Event)
    free: threading.Event = attrs.field(factory=_set)
    began: threading.Event = attrs.field(factory=threading.Event)
    rows: dict[tuple[int, dt.datetime, str], CheckResult] = attrs.field(factory=dict)
    positions: dict[tuple[Topic, int], int] = attrs.field(factory=dict)
    _known_topics: set[Topic] = attrs.field(factory=set, init=False)

    @property
    def stored(self) -> list[int]:
        """The target IDs of the rows, in the order in which they were stored."""
        return [result.target_id for result in self.rows.values()]

    def prepare(self) -> None:
        self._fail_while_away()

    def place(self, state: TopicState, asked: Asked) -> Places:
        self._fail_while_away()
        offsets, gaps = dict[int, int](), list[Gap]()
        anew = state.topic not in self._known_topics
        gaps += [
            Gap(number, "topic_replaced", offset, offset, 0)
            for (topic, number), offset in self.positions.items()
            if anew and topic != state.topic
        ]
        self._known_topics.add(state.topic)
        for number in sorted(asked.waiting | asked.read):
            begin = state.begins[number]
            stored = self.positions.setdefault((state.topic, number), begin)
            offsets[number] = stored
            if number not in asked.waiting or (stored >= begin and number not in asked.set_back):
                continue
            self.positions[state.topic, number] = offsets[number] = begin
            if number in asked.set_back:
                gaps.append(Gap(number, "set_back", stored, stored, 0))
            else:
                gaps.append(Gap(number, "expired", stored, begin, begin - stored))
        return Places(state.topic, offsets, tuple(gaps))

    def write(self, results: Sequence[CheckResult], progress: Progress | None = None) -> WriteCounts:
        self.began.set()
        if self.outages:
            self.outages -= 1
            raise _unreachable()
        self._fail_while_away()
        self.free.wait(_LONGEST_HOLD_S)
        if not self.refused.isdisjoint(result.target_id for result in results):
            raise RefusedError("no")
        if progress:
            self._advance(progress)
        new = _one_of_each_key(results)
        counts = WriteCounts(duplicates=len(results) - len(new))
        for result in new:
            counts += self._store(result)
        return counts

    def rows_by_default(self) -> int:
        self.looks += 1
        self._fail_while_away()
        return min(self.by_default, _MOST_COUNTED)

    def _advance(self, progress: Progress) -> None:
        places = {(progress.topic, number): span for number, span in progress.spans.items()}
        if any(self.positions.get(place, -1) < span.begin for place, span in places.items()):
            raise BehindError
        for place, span in places.items():
            self.positions[place] = max(self.positions[place], span.end)

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
class FakeTopicStates:
    """Says that the topic has all its messages, until a test says otherwise."""

    state: TopicState = attrs.field(factory=lambda: TopicState(TOPIC, dict.fromkeys(PARTITIONS, 0)))
    away: bool = False

    def now(self) -> TopicState:
        if self.away:
            raise OutageError("Kafka at k:1 cannot be reached")
        return self.state


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
        assigned: also set by the first poll after `subscribe`, when all partitions are assigned.
        outage: why no messages can be read.
        polls: the limit and the timeout of each poll.
        committed: the offsets of each commit.
        paused: what each call of `pause` asked for.
        started: the offsets of each start.
    """

    messages: list[FakeMessage]
    stop: Stop = attrs.field(factory=Stop)
    assigned: bool = False
    outage: str | None = None
    polls: list[tuple[int, float]] = attrs.field(factory=list)
    committed: list[Mapping[int, int]] = attrs.field(factory=list)
    paused: list[bool] = attrs.field(factory=list)
    started: list[Mapping[int, int]] = attrs.field(factory=list)
    closed: bool = False
    _given: list[FakeMessage] = attrs.field(factory=list, init=False)
    _flowing: set[int] = attrs.field(factory=set, init=False)
    _on_assigned: Callable[[Collection[int]], None] | None = attrs.field(default=None, init=False)
    _on_revoked: Callable[[Collection[int]], None] | None = attrs.field(default=None, init=False)

    def subscribe(
        self, on_assigned: Callable[[Collection[int]], None], on_revoked: Callable[[Collection[int]], None]
    ) -> None:
        self._on_assigned, self._on_revoked = on_assigned, on_revoked

    def hold(self) -> None:
        self._flowing.clear()

    def start(self, offsets: Mapping[int, int]) -> None:
        self.started.append(dict(offsets))
        self._flowing |= offsets.keys()
        again = [m for m in self._given if m.offset() >= offsets.get(m.partition(), m.offset() + 1)]
        self._given = [m for m in self._given if m not in again]
        left = [m for m in self.messages if m.offset() >= offsets.get(m.partition(), 0)]
        self.messages = [*again, *left]

    def poll(self, limit: int, timeout_s: float) -> Sequence[FakeMessage]:
        self.polls.append((limit, timeout_s))
        if self._on_assigned and not self.assigned:
            self.assigned = True
            self._on_assigned(set(PARTITIONS))
        if self.paused and self.paused[-1]:
            return []
        if not self.messages:
            self.stop.request()
        given = [message for message in self.messages if message.partition() in self._flowing][:limit]
        self.messages = [message for message in self.messages if message not in given]
        self._given += given
        return given

    def pause(self, paused: bool) -> None:
        self.paused.append(paused)

    def commit(self, offsets: Mapping[int, int]) -> None:
        if self.assigned:
            self.committed.append(dict(offsets))

    def close(self) -> None:
        if self._on_revoked and self.assigned:
            self._on_revoked(set(PARTITIONS))
        self.assigned = False
        self.closed = True


if TYPE_CHECKING:
    _writer: Writer = FakeWriter()
    _dead_letters: DeadLetters = FakeDeadLetters()
    _no_dead_letters: DeadLetters = NoDeadLetters()
    _source: Source = FakeSource([])
    _topic_states: TopicStates = FakeTopicStates()
