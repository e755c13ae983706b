"""What the loop needs from outside, and the values that cross."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from monitoring_core.result import CheckResult


class Received(Protocol):
    """A message as it came, as confluent_kafka.Message gives it: taking it apart is left to whoever needs the part."""

    def key(self) -> bytes | None:
        """Its bytes, or None."""
        ...

    def value(self) -> bytes | None:
        """Its bytes; None is a tombstone."""
        ...

    def partition(self) -> int:
        """Where it is."""
        ...

    def offset(self) -> int:
        """Where it is in the partition."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """The kind of the time, and the time in milliseconds since the epoch."""
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
        set_aside_ms: when it was put there, since the epoch.
        headers: why, and where it stood before.
    """

    partition: int
    offset: int
    set_aside_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]

    @property
    def place(self) -> str:
        """Where it is, as people write it."""
        return f"{self.partition}:{self.offset}"


@attrs.frozen
class WriteCounts:
    """What became of a batch's results."""

    stored: int = 0
    replaced: int = 0
    duplicates: int = 0

    def __add__(self, other: WriteCounts) -> WriteCounts:
        return WriteCounts(
            self.stored + other.stored, self.replaced + other.replaced, self.duplicates + other.duplicates
        )


class RefusedError(Exception):
    """The database refuses some of these results for what is in them; trying again will not help."""


class Source(Protocol):
    """Where the messages come from."""

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
        """Say for each partition that is still assigned which offset is next."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class Writer(Protocol):
    """Where the results go."""

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
            OutageError: not now; nothing is stored, or at least nothing that a second try would double.
            RefusedError: never, as they are.
        """
        ...

    def rows_by_default(self) -> int:
        """How many rows are in the default partition, because their day has none of its own; 1,000 at most.

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
