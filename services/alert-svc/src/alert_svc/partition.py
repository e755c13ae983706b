"""One partition: its results are decided in their order, and what follows from them is kept until it is stored."""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING

import attrs

from alert_svc.steps import Snapshot, Step, Tick
from monitoring_alerting.decider import Decider
from monitoring_alerting.memory import parts, recalled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alert_svc.steps import Kept
    from monitoring_alerting.policies import Policies
    from monitoring_alerting.targets import Watched
    from monitoring_alerting.transition import Note, Transition
    from monitoring_core.result import CheckResult


def partition_of(target_id: int, partitions: int) -> int:
    """Where the results of a target are: by librdkafka's own partitioner, which producers use.

    It takes the CRC-32 of the key (librdkafka, CONFIGURATION.md, `partitioner`).
    """
    return zlib.crc32(b"%d" % target_id) % partitions


@attrs.define
class Partition:
    """A partition that this process decides.

    What is read again after a takeover leads to where the one before stood: the snapshot holds the policies and targets
    of its time, and the moves of the clock since then were kept. Nothing of that is stored a second time. Policies and
    targets of now hold from the offset on up to which everything is stored, and the snapshot is then taken anew.

    Attributes:
        stored: the offset that the database has reached.
        goal: everything before this offset was decided and stored by whoever had the partition before.
        read: the offset after the last message that was decided.
        transitions: those that are not stored yet.
    """

    number: int
    generation: int
    stored: int
    goal: int
    read: int
    policies: Policies
    _decider: Decider
    _past_ticks: deque[Tick]
    _next: tuple[Policies, Sequence[Watched]]
    transitions: list[Transition] = attrs.field(factory=list, init=False)
    _ticks: list[Tick] = attrs.field(factory=list, init=False)
    _caught_up: bool = attrs.field(default=False, init=False)
    _remembered: int | None = attrs.field(default=None, init=False)

    @classmethod
    def taken_over(
        cls, number: int, kept: Kept, span: tuple[int, int], policies: Policies, targets: Sequence[Watched]
    ) -> Partition:
        """A partition as the database has it.

        Args:
            span: the first offset that Kafka has of the partition, and the one after its last.
            targets: those of the partition.

        Raises:
            UnknownFormatError: another release wrote what is remembered.
        """
        begin, end = span
        # An end before what was decided: Kafka has lost messages, and gives others under their offsets.
        lost = kept.moved or kept.next_offset > end
        read = begin if lost else max(kept.snapshot_offset, begin)
        goal = read if lost else max(kept.next_offset, begin)
        ticks = [Tick(read, tick.moment) for tick in kept.ticks] if lost else kept.ticks
        before, decider = recalled(kept.parts) if kept.parts else (policies, Decider(policies, ()))
        partition = cls(
            number, kept.generation, kept.next_offset, goal, read, before, decider, deque(ticks), (policies, targets)
        )
        partition._catch_up()
        return partition

    @property
    def caught_up(self) -> bool:
        """Whether all that was stored before has been read again."""
        return self._caught_up

    @property
    def clock(self) -> int | None:
        """Up to when it is decided, in milliseconds; None before there is a time."""
        return self._decider.now

    def new_counts(self) -> tuple[int, int]:
        """How many results since the last call were of no active target of the partition, and ahead of the clock."""
        counts = self._decider.unknown, self._decider.ahead
        self._decider.unknown = self._decider.ahead = 0
        return counts

    def take(self, offset: int, result: CheckResult | None) -> None:
        """Decide a message; None for one that is no result.

        Raises:
            ValueError: the message is from before what was read: Kafka has set the partition back.
        """
        if offset < self.read:
            raise ValueError(f"offset {offset} comes after {self.read}")
        self._go_on_to(offset)
        if result is not None:
            self._say(self._decider.take(result))
        self.read = offset + 1
        self._catch_up()

    def tick(self, moment: int) -> None:
        """Let the clock go on to a moment (ms): the partition has no further messages at present."""
        said = [*self._decider.advance(moment), *self._decider.finish()]
        self._say(said)
        self._ticks.append(Tick(self.read, moment))

    def change(self, policies: Policies, targets: Sequence[Watched]) -> None:
        """Go on with other policies and targets, as soon as all that was stored before has been read again."""
        self._next = policies, targets
        if self._caught_up:
            self._change()

    def notes(self) -> list[Note]:
        """What has been noted about late results since the last call; nothing while it is read again."""
        notes = self._decider.notes()
        return notes if self._caught_up else []

    def step(self, with_snapshot: bool) -> Step | None:
        """What is to be stored now; None for nothing.

        Args:
            with_snapshot: take a snapshot, too, if anything was decided since the last one.
        """
        if not self._caught_up:
            return None
        new = self._remembered is None or (with_snapshot and (self.read > self._remembered or bool(self._ticks)))
        if not (new or self.transitions or self._ticks or self.read != self.stored):
            return None
        snapshot = Snapshot(self.read, parts(self.policies, self._decider.memory)) if new else None
        return Step(
            self.number, self.generation, self.stored, self.read, tuple(self.transitions), tuple(self._ticks), snapshot
        )

    def done(self, step: Step) -> None:
        """Note that a step is stored."""
        self.stored = step.end
        del self.transitions[: len(step.transitions)]
        del self._ticks[: len(step.ticks)]
        if step.snapshot:
            self._remembered = step.snapshot.offset

    def _say(self, transitions: Iterable[Transition]) -> None:
        if self._caught_up:
            self.transitions += transitions

    def _go_on_to(self, offset: int) -> None:
        """Let the clock go on as it did before this offset was decided for the first time."""
        while self._past_ticks and self._past_ticks[0].offset <= offset:
            self._decider.advance(self._past_ticks.popleft().moment)
            self._decider.finish()
        if offset >= self.goal and not self._caught_up:
            self._caught_up = True
            self._change()

    def _catch_up(self) -> None:
        if not self._caught_up and self.read >= self.goal:
            self._go_on_to(self.goal)

    def _change(self) -> None:
        policies, targets = self._next
        self._next = policies, ()
        self.policies = policies
        self._say(self._decider.change(policies, targets))
        self._remembered = None
