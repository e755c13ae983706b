"""The ports: what the consumer needs from outside, and the values that are exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from monitoring_core.result import CheckResult


class Received(Protocol):
    """A message as it was received. It has methods, not attributes, because confluent_kafka.Message has them."""

    def key(self) -> bytes | None:
        """The message's key; None without one."""
        ...

    def value(self) -> bytes | None:
        """The message's value; None for a tombstone."""
        ...

    def partition(self) -> int:
        """The number of the message's partition."""
        ...

    def offset(self) -> int:
        """The message's offset in the partition."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """The kind of the message's timestamp, and the timestamp in milliseconds since the epoch."""
        ...


@attrs.frozen
class Poison:
    """A message that can never be stored, and why."""

    message: Received
    reason: str
    error: str


@attrs.frozen
class DeadLetter:
    """A message in the dead-letter topic.

    Attributes:
        dead_lettered_ms: when the message was sent to that topic, in milliseconds since the epoch.
        headers: why the message could not be stored, and where it was before.
    """

    partition: int
    offset: int
    dead_lettered_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]

    @property
    def place(self) -> str:
        """Partition and offset, as people write them."""
        return f"{self.partition}:{self.offset}"


@attrs.frozen
class WriteCounts:
    """What became of the results of a batch.

    Attributes:
        stored: new rows.
        replaced: real results that replaced unknown ones.
        duplicates: results that changed nothing.
    """

    stored: int = 0
    replaced: int = 0
    duplicates: int = 0

    def __add__(self, other: WriteCounts) -> WriteCounts:
        return WriteCounts(
            self.stored + other.stored, self.replaced + other.replaced, self.duplicates + other.duplicates
        )


@attrs.frozen
class Topic:
    """A topic that is not taken for another one of the same name, on another cluster or made anew.

    Attributes:
        id: Kafka's ID of the topic; empty where Kafka gives none.
    """

    cluster: str
    name: str
    id: str


@attrs.frozen
class TopicState:
    """A topic as it is now.

    Attributes:
        begins: for each partition the first offset that Kafka still has.
    """

    topic: Topic
    begins: Mapping[int, int]


@attrs.define
class Span:
    """The part of a partition that a batch covers.

    Attributes:
        begin: everything before this offset was in earlier batches.
        end: the offset after the last message.
        missing: how many offsets in between had no message.
        gap_begin: the first of these; meaningless without any.
        gap_end: the offset after the last of these.
    """

    begin: int
    end: int
    missing: int = 0
    gap_begin: int = 0
    gap_end: int = 0


@attrs.frozen
class Progress:
    """How far a batch comes: its span in each partition of a topic."""

    topic: Topic
    spans: Mapping[int, Span]

    @property
    def gaps(self) -> list[Gap]:
        """What is missing between the messages."""
        return [
            Gap(partition, "missing", span.gap_begin, span.gap_end, span.missing)
            for partition, span in self.spans.items()
            if span.missing
        ]


@attrs.frozen
class Gap:
    """Messages that Kafka no longer had when they were due to be stored.

    Attributes:
        reason: `expired` before they were read; `missing` within the partition, as after compaction; `set_back`, when
            Kafka lost the end of the partition; `topic_replaced`, when the topic was made anew.
        messages: how many; 0 when nobody can tell.
    """

    partition: int
    reason: str
    first_offset: int
    next_offset: int
    messages: int


@attrs.frozen
class Asked:
    """The partitions of a consumer.

    Attributes:
        waiting: those that it does not read yet.
        read: those that it reads.
        set_back: those that wait because Kafka has fewer messages than it had.
    """

    waiting: frozenset[int]
    read: frozenset[int] = frozenset()
    set_back: frozenset[int] = frozenset()


@attrs.frozen
class Places:
    """Where partitions are to be read from, and the gaps that were found in finding this out."""

    topic: Topic
    offsets: Mapping[int, int]
    gaps: Sequence[Gap] = attrs.field(default=(), converter=tuple)


class RefusedError(Exception):
    """The database refuses these results because of a value in at least one of them; trying again will not help."""


class BehindError(Exception):
    """The database lacks what was stored before: it is an older copy. Nothing of the batch was stored."""


class Source(Protocol):
    """The topic of results, read as a member of the consumers' group."""

    @property
    def assigned(self) -> bool:
        """Whether any partition is assigned."""
        ...

    def subscribe(
        self, on_assigned: Callable[[Collection[int]], None], on_revoked: Callable[[Collection[int]], None]
    ) -> None:
        """Join the group.

        `on_assigned` is called, within poll, for partitions that are assigned: they give nothing until `start`.
        `on_revoked` is called, within poll, before partitions are given up or when lost.
        """
        ...

    def hold(self) -> None:
        """Let no partition give any more messages until `start`."""
        ...

    def start(self, offsets: Mapping[int, int]) -> None:
        """Let partitions that are assigned give their messages from these offsets on."""
        ...

    def poll(self, limit: int, timeout_s: float) -> Sequence[Received]:
        """Up to `limit` messages. Must be called regularly, or this member loses its partitions."""
        ...

    def pause(self, paused: bool) -> None:
        """Pause or resume fetching; `poll` must still be called."""
        ...

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition that is still assigned."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class TopicStates(Protocol):
    """What Kafka says of the topic."""

    def now(self) -> TopicState:
        """The topic as it is now.

        Raises:
            OutageError: Kafka does not answer.
        """
        ...


class Writer(Protocol):
    """The table of results, and how far each partition is stored in it."""

    def prepare(self) -> None:
        """Find out whether results can be stored at all.

        Raises:
            OutageError: results cannot be stored now.
            StopError: this release can never store results in the present schema.
        """
        ...

    def place(self, state: TopicState, asked: Asked) -> Places:
        """From which offsets partitions are to be read, so that all that is not stored, and Kafka has, is read.

        A partition that is new to the database is read from its beginning, and so is one that Kafka has set back. What
        Kafka no longer has of a partition that waits is noted in the database as a gap.

        Raises:
            OutageError: the database cannot tell now.
        """
        ...

    def write(self, results: Sequence[CheckResult], progress: Progress | None = None) -> WriteCounts:
        """Store results, all or none, and with them how far each partition is stored now.

        Raises:
            BehindError: the database lacks what was stored before `progress`.
            OutageError: the results cannot be stored now. Another try stores nothing twice.
            RefusedError: the results can never be stored as they are.
        """
        ...

    def rows_by_default(self) -> int:
        """How many rows are in the default partition, because their day has no partition of its own; 1,000 at most.

        Raises:
            OutageError: the rows cannot be counted now.
        """
        ...


class DeadLetters(Protocol):
    """The dead-letter topic."""

    def send(self, poison: Sequence[Poison]) -> None:
        """Send poison. All of it is acknowledged when this returns.

        Raises:
            OutageError: the poison cannot be sent now.
        """
        ...
