"""What the loop needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitoring_core.result import CheckResult
    from monitoring_core.target import TargetRecord
    from producer_svc.check import Check
    from producer_svc.outbox import Batch, Entry


class Registry(Protocol):
    """Where the targets are, and who works them. The moments are milliseconds since the epoch.

    Raises, from every method:
        OutageError: not now.
    """

    def version(self) -> tuple[int, int]:
        """A number that changes with the targets, and the moment at which it was read."""
        ...

    def count_active(self) -> int:
        """How many targets are active."""
        ...

    def read(self, ranks: range) -> Iterable[tuple[TargetRecord, int]]:
        """The active targets of these zero-based ranks, in order of id, and since when each is active as it is."""
        ...

    def acquire(self, producer_id: int, lease_s: float) -> int | None:
        """Take an ID that nobody holds: the moment up to which its slots are accounted for; None when it is held."""
        ...

    def renew(self, producer_id: int, accounted_until_ms: int, lease_s: float) -> bool:
        """Go on holding an ID; False when somebody else has it."""
        ...

    def release(self, producer_id: int, accounted_until_ms: int) -> None:
        """Give an ID back."""
        ...

    def free(self, needed: int, limit: int) -> list[int]:
        """The lowest IDs up to `needed` that nobody holds."""
        ...

    def unheld_since(self, look_back_s: float) -> int | None:
        """The earliest moment, at most so long ago, up to which an ID that nobody holds is accounted for."""
        ...

    def holder(self, producer_id: int) -> str | None:
        """Who holds an ID, for a person."""
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
        """How many results there are."""
        ...

    @property
    def last_id(self) -> int:
        """The highest id that was there when it was opened."""
        ...

    @property
    def used_bytes(self) -> int:
        """How much room the batches take."""
        ...

    def write(self, batches: Sequence[Batch], remove: Sequence[int]) -> None:
        """Add batches and remove others, both or nothing."""
        ...

    def first(self, after: int, before: int | None) -> Batch | None:
        """The first batch between two ids, neither included. One that is damaged has no entries."""
        ...

    def drop(self, after: int, results: int) -> Sequence[Batch]:
        """Remove so many results, and what is saved with them: the oldest past an id, those that are up first."""
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

    def take_acknowledged(self) -> Sequence[Entry]:
        """The entries that Kafka has acknowledged since the last call."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Wait for acknowledgements, at most `timeout_s` seconds."""
        ...
