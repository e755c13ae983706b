"""Messages that are gathered to be written together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from consumer_svc.ports import Poison, Received
from monitoring_core.codec import decode, encode_key
from monitoring_core.errors import DecodeError, DecodeReason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from monitoring_core.result import CheckResult


@attrs.define
class Batch:
    """Decoded messages, and the offsets to commit when all of them are delivered.

    Attributes:
        began: when the first message came, in seconds on the monotonic clock.
        offsets: for each partition the offset after the last message, which is the one to commit.
        size_bytes: the size of the messages' values together.
    """

    began: float
    results: list[tuple[Received, CheckResult]] = attrs.field(factory=list)
    poison: list[Poison] = attrs.field(factory=list)
    offsets: dict[int, int] = attrs.field(factory=dict)
    size_bytes: int = 0

    def __len__(self) -> int:
        return len(self.results) + len(self.poison)

    def add(self, messages: Iterable[Received]) -> None:
        """Add messages, decoded or as poison."""
        for message in messages:
            value, key = message.value(), message.key()
            try:
                result = decode(value)
                if key != encode_key(result):
                    raise DecodeError(DecodeReason.WRONG_KEY, f"the key is {key!r}, not {encode_key(result)!r}")
                self.results.append((message, result))
            except DecodeError as error:
                self.poison.append(Poison(message, str(error.reason), error.detail))
            self.offsets[message.partition()] = message.offset() + 1
            self.size_bytes += len(value or b"")

    def drop(self, partitions: Collection[int]) -> None:
        """Forget the messages of these partitions."""
        self.results = [pair for pair in self.results if pair[0].partition() not in partitions]
        self.poison = [one for one in self.poison if one.message.partition() not in partitions]
        self.offsets = {number: offset for number, offset in self.offsets.items() if number not in partitions}
        kept = [message for message, _ in self.results] + [one.message for one in self.poison]
        self.size_bytes = sum(len(message.value() or b"") for message in kept)
