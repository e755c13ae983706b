"""What the loop needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_core.result import CheckResult
    from monitoring_core.target import TargetRecord
    from producer_svc.check import Check
    from producer_svc.outbox import Entry


class Targets(Protocol):
    """Where the targets are kept."""

    def read(self, ranks: range) -> Sequence[TargetRecord]:
        """The active targets of these zero-based ranks, in order of id.

        Raises:
            OutageError: they cannot be read for now.
        """
        ...


class Engine(Protocol):
    """What makes the checks."""

    @property
    def free(self) -> int:
        """How many more checks can be submitted now."""
        ...

    @property
    def running(self) -> int:
        """How many checks are submitted and not yet taken as finished."""
        ...

    def submit(self, check: Check) -> None:
        """Begin a check. It ends within its target's timeout."""
        ...

    def take_finished(self, wait_s: float) -> Sequence[CheckResult]:
        """The results since the last call; waits for the first at most `wait_s` seconds."""
        ...

    def abandon(self) -> Sequence[Check]:
        """Give up what is running, and return it: its results will never be taken."""
        ...


class Canaries(Protocol):
    """Hosts that answer when the producer's own network works."""

    def ask(self) -> None:
        """Begin to ask all of them."""
        ...

    def poll(self) -> bool | None:
        """Whether any has answered, once the asking is over; None before."""
        ...


class Store(Protocol):
    """Where results are kept until Kafka has them.

    Raises, from every method but close:
        OutageError: it cannot be written or read now.
    """

    @property
    def count(self) -> int:
        """How many entries there are."""
        ...

    @property
    def last_id(self) -> int:
        """The highest id that was there when it was opened."""
        ...

    @property
    def used_bytes(self) -> int:
        """How much room the entries take."""
        ...

    def write(self, entries: Sequence[Entry], remove: Sequence[int]) -> None:
        """Add entries and remove others, both or nothing."""
        ...

    def read(self, after: int, before: int | None, limit: int) -> Sequence[Entry]:
        """The first entries between two ids, neither included."""
        ...

    def drop(self, after: int, limit: int) -> int:
        """Remove the oldest entries past an id, those that are up first; how many were removed."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Sender(Protocol):
    """What brings entries to Kafka, and never gives one up."""

    @property
    def in_flight(self) -> int:
        """How many entries Kafka has not yet acknowledged."""
        ...

    def send(self, entry: Entry) -> None:
        """Take an entry."""
        ...

    def take_acknowledged(self) -> Sequence[int]:
        """The ids of the entries that Kafka has acknowledged since the last call."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Wait for acknowledgements, at most `timeout_s` seconds."""
        ...
