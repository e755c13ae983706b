"""A topic and its messages: the values that are exchanged about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


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
