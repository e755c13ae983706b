"""The ports: what the loop needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitoring_core.result import CheckResult
    from monitoring_core.targets import TargetRecord
    from producer_svc.check import Check, Origin
    from producer_svc.outbox_entries import OutboxBatch, OutboxEntry


class TargetTable(Protocol):
    """The table of targets. Moments are milliseconds since the epoch.

    Raises, from every method:
        OutageError: the table cannot be read now.
    """

    def version(self) -> tuple[int, int]:
        """A number that changes with the targets, and the moment at which it was read."""
        ...

    def count_active(self) -> int:
        """How many targets are active."""
        ...

    def read(self, ranks: range) -> Iterable[tuple[TargetRecord, int]]:
        """The active targets of these zero-based ranks by id, each with the moment since which it has its interval."""
        ...


class Leases(Protocol):
    """Who holds which ID in one location. Moments are milliseconds since the epoch.

    A lease carries a watermark: the moment up to which the slots of its ID are accounted for. It never goes back.

    Raises, from every method:
        OutageError: the leases cannot be read or written now.
    """

    def acquire(self, producer_id: int, lease_s: float) -> int | None:
        """Acquire an ID for `lease_s` seconds and return its watermark; None when another process holds it.

        The watermark of an ID that nobody held before is the beginning of the location, or 0 in the first one of all.
        """
        ...

    def renew(self, producer_id: int, accounted_until_ms: int, lease_s: float) -> bool:
        """Renew the lease of an ID and raise its watermark; False when another process holds it."""
        ...

    def release(self, producer_id: int, accounted_until_ms: int) -> None:
        """Release an ID and raise its watermark."""
        ...

    def free(self, needed: int, limit: int) -> list[int]:
        """The lowest IDs from 1 to `needed` that nobody holds, at most `limit`."""
        ...

    def unheld_since(self, look_back_s: float) -> int | None:
        """The lowest watermark (ms) of expired leases within `look_back_s`; None without one."""
        ...

    def holder(self, producer_id: int) -> str | None:
        """Who held an ID last, for a person; None when nobody ever did."""
        ...


class Engine(Protocol):
    """What makes the checks."""

    @property
    def lead_s(self) -> float:
        """How long before it is due a check may be submitted, seconds; the engine begins it when it is due.

        Of 0, a check begins when it is submitted.
        """
        ...

    @property
    def free(self) -> int:
        """How many more checks can be submitted now."""
        ...

    @property
    def running(self) -> int:
        """How many checks are submitted and not yet drained as finished, whether begun or not."""
        ...

    def submit(self, check: Check, origin: Origin) -> None:
        """Begin a check at `check.due`, or at once when that has passed; its result will name `origin`.

        The check ends within its target's timeout. It is due in `lead_s` seconds at the latest.
        """
        ...

    def drain_finished(self, wait_s: float, enough: int = 1) -> Sequence[CheckResult]:
        """All results since the last call; while they are not `enough`, waits for more, at most `wait_s` seconds."""
        ...

    def abandon(self) -> Sequence[Check]:
        """Give up the running checks, begun or not, and return them; their results will never be drained."""
        ...


class Canaries(Protocol):
    """Hosts that answer when the producer's own network works."""

    def ask(self) -> None:
        """Begin a round that asks all of them."""
        ...

    def poll(self) -> bool | None:
        """Whether any canary answered in the round that has ended; None while the round is running."""
        ...


class Store(Protocol):
    """Where results are kept until Kafka has them.

    Raises, from every method but close:
        OutageError: the store cannot be written or read now.
    """

    @property
    def count(self) -> int:
        """How many results the store holds."""
        ...

    @property
    def last_id(self) -> int:
        """The highest id in the store when it was opened; 0 without batches."""
        ...

    @property
    def used_bytes(self) -> int:
        """How many bytes the batches take."""
        ...

    def write(self, batches: Sequence[OutboxBatch], remove: Sequence[int]) -> None:
        """Add batches and remove others by their ids, both or nothing."""
        ...

    def first(self, after: int, before: int | None) -> OutboxBatch | None:
        """The first batch between two ids, neither included. One that is damaged has no entries."""
        ...

    def drop(self, after: int, results: int) -> Sequence[OutboxBatch]:
        """Remove batches with an id above `after`, oldest first and up ones before others, until `results` are gone."""
        ...

    def close(self) -> None:
        """Close the store, and let another process have its file."""
        ...


class Sender(Protocol):
    """Sends entries to Kafka, and never gives up on one."""

    @property
    def in_flight(self) -> int:
        """How many entries Kafka has not yet acknowledged."""
        ...

    @property
    def outage(self) -> str | None:
        """Why entries do not get to Kafka: as soon as it says that the topic is missing, else after a minute."""
        ...

    def send(self, entry: OutboxEntry) -> None:
        """Begin to send an entry; returns at once."""
        ...

    def drain_acknowledged(self) -> Sequence[OutboxEntry]:
        """The entries that Kafka has acknowledged since the last call."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Wait for acknowledgements, at most `timeout_s` seconds."""
        ...
