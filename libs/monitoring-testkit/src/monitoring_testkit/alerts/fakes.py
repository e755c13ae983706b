"""Fakes of the ports: in memory, at once, and broken when a test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from alert_svc.ports import LostError
from alert_svc.steps import Kept, Tick
from monitoring_core.errors import OutageError
from monitoring_runtime.topics import Topic, TopicState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from alert_svc.steps import Step
    from monitoring_alerting.policies import Policies
    from monitoring_alerting.targets import Watched
    from monitoring_alerting.transition import Transition
    from monitoring_runtime.topics import Received

TOPIC = Topic("cluster", "website_availability", "first")


@attrs.define
class Row:
    """What the database has of a partition."""

    topic: Topic
    generation: int
    next_offset: int
    snapshot_offset: int
    ticks: list[Tick] = attrs.field(factory=list)
    parts: list[bytes] = attrs.field(factory=list)


@attrs.define
class FakeStore:
    """A database in memory.

    Attributes:
        away: while it is set, everything fails.
        told: what was stored, in order; one that comes twice is left alone.
        time: the clock of the database.
    """

    away: bool = False
    time: int = 0
    rows: dict[int, Row] = attrs.field(factory=dict)
    told: dict[str, Transition] = attrs.field(factory=dict)

    def prepare(self) -> None:
        self._fail_while_away()

    def take_over(self, topic: Topic, partition: int, begin: int) -> Kept:
        self._fail_while_away()
        row = self.rows.get(partition)
        if row is None:
            row = self.rows[partition] = Row(topic, 0, begin, begin)
        row.generation += 1
        moved = row.topic != topic
        return Kept(row.generation, row.next_offset, row.snapshot_offset, tuple(row.ticks), tuple(row.parts), moved)

    def store(self, topic: Topic, step: Step) -> int:
        self._fail_while_away()
        row = self.rows[step.partition]
        if (row.generation, row.next_offset) != (step.generation, step.begin):
            raise LostError
        row.topic, row.next_offset = topic, step.end
        row.ticks += step.ticks
        if step.snapshot:
            row.parts, row.snapshot_offset, row.ticks = list(step.snapshot.parts), step.snapshot.offset, []
        before = len(self.told)
        for transition in step.transitions:
            self.told.setdefault(transition.id, transition)
        return len(self.told) - before

    def tell_what_lasts(
        self, topic: Topic, holds: Sequence[tuple[int, int]], decided_until: Callable[[int], int | None]
    ) -> int:
        self._fail_while_away()
        return 0

    def now(self) -> int:
        self._fail_while_away()
        return self.time

    def _fail_while_away(self) -> None:
        if self.away:
            raise OutageError("the database is away")


@attrs.define
class FakeTargets:
    """A table of targets.

    Attributes:
        number: its version.
        fails: how many of the next reads fail.
    """

    rows: list[Watched]
    number: int = 1
    fails: int = 0

    def version(self) -> int:
        return self.number

    def read(self) -> Iterator[Watched]:
        if self.fails:
            self.fails -= 1
            raise OutageError("the database is away")
        yield from (attrs.evolve(row) for row in self.rows)


@attrs.define
class FakePolicies:
    """A file of policies."""

    policies: Policies
    fault: str | None = None
    news: bool = False

    def changed(self) -> bool:
        news, self.news = self.news, False
        return news


@attrs.define
class FakeTopic:
    """A topic, and one member of the group that reads it; messages by partition, from offset 0 on."""

    messages: dict[int, list[Received]]
    topic: Topic = TOPIC
    away: bool = False
    outage: str | None = None
    paused: bool = False
    closed: bool = False
    committed: dict[int, int] = attrs.field(factory=dict)
    _at: dict[int, int] = attrs.field(factory=dict)
    _assigned: set[int] = attrs.field(factory=set)
    _news: list[Callable[[], None]] = attrs.field(factory=list)
    _on_assigned: Callable[[Collection[int]], None] | None = None
    _on_revoked: Callable[[Collection[int]], None] | None = None

    @property
    def assigned(self) -> bool:
        return bool(self._assigned)

    def subscribe(
        self, on_assigned: Callable[[Collection[int]], None], on_revoked: Callable[[Collection[int]], None]
    ) -> None:
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        self.give(list(self.messages))

    def give(self, partitions: Collection[int]) -> None:
        """Assign partitions at the next poll."""

        def now() -> None:
            self._assigned.update(partitions)
            assert self._on_assigned
            self._on_assigned(partitions)

        self._news.append(now)

    def take_away(self, partitions: Collection[int]) -> None:
        """Revoke partitions at the next poll."""

        def now() -> None:
            assert self._on_revoked
            self._on_revoked(partitions)
            self._assigned.difference_update(partitions)
            for number in partitions:
                self._at.pop(number, None)

        self._news.append(now)

    def start(self, offsets: Mapping[int, int]) -> None:
        self._at.update(offsets)

    def poll(self, limit: int, timeout_s: float) -> Sequence[Received]:
        while self._news:
            self._news.pop(0)()
        found: list[Received] = []
        for number, at in self._at.items():
            if not self.paused:
                found += self.messages[number][at : at + limit - len(found)]
                self._at[number] = min(at + limit, len(self.messages[number]))
        return found

    def pause(self, paused: bool) -> None:
        self.paused = paused

    def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed.update(offsets)

    def close(self) -> None:
        self.closed = True

    def now(self) -> TopicState:
        self._fail_while_away()
        return TopicState(self.topic, dict.fromkeys(self.messages, 0))

    def ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        self._fail_while_away()
        return {number: len(self.messages[number]) for number in partitions}

    def _fail_while_away(self) -> None:
        if self.away:
            raise OutageError("Kafka is away")
