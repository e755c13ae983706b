"""The ports: what the consumer needs from outside, and the values that are exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from monitoring_core.errors import DecodeReason
from monitoring_runtime import topics

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from consumer_svc.places import Asked, Places, Progress
    from monitoring_core.result import CheckResult
    from monitoring_core.settled import Settled
    from monitoring_runtime.topics import Received, TopicState


# The reason of a result that the database refuses.
REFUSED_BY_DATABASE = "refused_by_database"
# All reasons that dead letters have.
REASONS = (*map(str, DecodeReason), REFUSED_BY_DATABASE)


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


class RefusedError(Exception):
    """The database refuses these results because of a value in at least one of them; trying again will not help."""


class BehindError(Exception):
    """The database lacks what was stored before: it is an older copy. Nothing of the batch was stored."""


class Source(topics.Source, Protocol):
    """The topic of results, read as a member of the consumers' group."""

    def hold(self) -> None:
        """Let no partition give any more messages until `start`."""
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


class DeadLetterReader(Protocol):
    """The dead-letter topic as a person sees it, and which dead letters are settled: replayed or discarded.

    Raises, from every method:
        OutageError: the topic cannot be read now.
        StopError: there is no such topic.
    """

    def read(self, since: Mapping[int, int]) -> Iterator[DeadLetter]:
        """All dead letters that are there now, by partition; of a partition in `since`, those from that offset on."""
        ...

    def at(self, partition: int, offset: int) -> DeadLetter:
        """The dead letter at this place; StopError if there is none."""
        ...

    def settled(self) -> Mapping[int, Settled]:
        """Which dead letters of each partition are settled."""
        ...

    def settle(self, letters: Collection[DeadLetter]) -> int:
        """Keep that dead letters are settled; returns how many could not be kept, because they lie too scattered."""
        ...
