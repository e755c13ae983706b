"""The ports: what deciding needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from alert_svc.steps import Kept, Step
    from monitoring_alerting.policies import Policies
    from monitoring_alerting.targets import Watched
    from monitoring_runtime.topics import Topic, TopicState


class LostError(Exception):
    """Another process has taken the partition over, or the database is an older copy. Nothing was stored."""


class TopicStates(Protocol):
    """What Kafka says of the topic.

    Raises, from every method:
        OutageError: Kafka does not answer.
    """

    def now(self) -> TopicState:
        """The topic as it is now."""
        ...

    def ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        """The offset after the last message of each of these partitions, as it is now."""
        ...


class Store(Protocol):
    """How far each partition is decided, what deciding remembers of it, and the transitions.

    Raises, from every method:
        OutageError: the database is away or cannot work; the same call may succeed later.
        StopError: this release can never work with the present schema.
    """

    def prepare(self) -> None:
        """Find out whether transitions can be stored at all."""
        ...

    def take_over(self, topic: Topic, partition: int, begin: int) -> Kept:
        """Take a partition over from whoever had it, who can store nothing for it from now on.

        Args:
            begin: where a partition begins that is new to the database.
        """
        ...

    def store(self, topic: Topic, step: Step) -> int:
        """Store a step, all of it or nothing; returns how many transitions were new.

        Raises:
            LostError: another process has taken the partition over, or the database lacks what was stored before.
        """
        ...

    def tell_what_lasts(
        self, topic: Topic, holds: Sequence[tuple[int, int]], decided_until: Callable[[int], int | None]
    ) -> int:
        """Store again, under the same alert, what a maintenance window kept back that is over; returns how many.

        Args:
            holds: the partitions of this process, each with its generation.
            decided_until: up to when (ms) a target is decided that is in one of them; None for others.

        Raises:
            LostError: another process has taken one of the partitions over. Nothing was stored.
        """
        ...

    def now(self) -> int:
        """The clock of the database, in milliseconds since the epoch."""
        ...


class Targets(Protocol):
    """The table of targets.

    Raises, from every method:
        OutageError: the database is away or cannot work; the same call may succeed later.
    """

    def version(self) -> int:
        """A number that changes with the targets."""
        ...

    def read(self) -> Iterator[Watched]:
        """All active targets."""
        ...


class PolicyFile(Protocol):
    """The policies."""

    @property
    def policies(self) -> Policies:
        """What holds now."""
        ...

    @property
    def fault(self) -> str | None:
        """What is wrong with the file as it is now; None while it is what holds."""
        ...

    def changed(self) -> bool:
        """Whether there are others since the last call. Faulty ones do not hold: those from before go on."""
        ...
