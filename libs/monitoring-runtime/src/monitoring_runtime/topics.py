"""A topic, its messages, and whoever reads them: what services exchange with Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence


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


class Source(Protocol):
    """The topic of results, read as a member of a group."""

    @property
    def assigned(self) -> bool:
        """Whether any partition is assigned."""
        ...

    @property
    def outage(self) -> str | None:
        """Why no messages can be read now, in one line; None when nothing is known to be wrong."""
        ...

    def subscribe(
        self, on_assigned: Callable[[Collection[int]], None], on_revoked: Callable[[Collection[int]], None]
    ) -> None:
        """Join the group.

        `on_assigned` is called, within poll, for partitions that are assigned: they give nothing until `start`.
        `on_revoked` is called, within poll, before partitions are given up or when lost.
        """
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
        """Commit the next offset of each partition that is still assigned: it shows the lag, no more."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...
