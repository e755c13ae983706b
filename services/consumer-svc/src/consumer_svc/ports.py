"""What the consumer needs from outside, and the values that are exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from monitoring_core.result import CheckResult


class Received(Protocol):
    """A message as it was received. These are methods because confluent_kafka.Message, which has them, is one."""

    def key(self) -> bytes | None:
        """Its key; None when it has none."""
        ...

    def value(self) -> bytes | None:
        """Its value; None for a tombstone."""
        ...

    def partition(self) -> int:
        """The number of its partition."""
        ...

    def offset(self) -> int:
        """Its offset in the partition."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """The kind of its time, and the time in milliseconds since the epoch."""
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
        dead_lettered_ms: when it was sent there, in milliseconds since the epoch.
        headers: why it could not be stored, and where it was before.
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
    """The database refuses these results for what is in at least one of them; trying again will not help."""


class Source(Protocol):
    """Where messages come from."""

    @property
    def assigned(self) -> bool:
        """Whether any partition is assigned."""
        ...

    def subscribe(self, on_revoked: Callable[[Collection[int]], None]) -> None:
        """Join the group. `on_revoked` is called, within poll, before partitions are given up or when lost."""
        ...

    def poll(self, limit: int, timeout_s: float) -> Sequence[Received]:
        """Up to `limit` messages; also what keeps the membership in the group."""
        ...

    def pause(self, paused: bool) -> None:
        """Fetch nothing, or fetch again; polling goes on."""
        ...

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition that is still assigned."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class Writer(Protocol):
    """Where results go."""

    def prepare(self) -> None:
        """Find out whether results can be stored at all.

        Raises:
            OutageError: not now.
            StopError: never, by this consumer.
        """
        ...

    def write(self, results: Sequence[CheckResult]) -> WriteCounts:
        """Store results, all or none.

        Raises:
            OutageError: not now. Nothing is stored, or nothing that another try would store twice.
            RefusedError: never, as they are.
        """
        ...

    def rows_by_default(self) -> int:
        """How many rows are in the default partition, because their day has no partition of its own; 1,000 at most.

        Raises:
            OutageError: not now.
        """
        ...


class DeadLetters(Protocol):
    """Where poison goes."""

    def send(self, poison: Sequence[Poison]) -> None:
        """Send poison, acknowledged when this returns.

        Raises:
            OutageError: not now.
        """
        ...
