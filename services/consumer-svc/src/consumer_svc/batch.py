"""Messages that are gathered to be written together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from consumer_svc.places import Progress, Span
from consumer_svc.ports import Poison
from monitoring_core.codec import decode, encode_key
from monitoring_core.errors import DecodeError, DecodeReason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from monitoring_core.result import CheckResult
    from monitoring_runtime.topics import Received, Topic


@attrs.define
class Batch:
    """Decoded messages, and how far each partition is stored when all of them are delivered.

    Attributes:
        began: when the first message came, in seconds on the monotonic clock.
        topic: the topic that the messages come from.
        read: for each partition the offset after the last message that was read, here or in an earlier batch. It is
            shared with whoever makes the batches.
        spans: for each partition the part of it that the batch covers.
        set_back: the partitions that gave a message from before what was read already: Kafka has lost their end.
        size_bytes: the size of the messages' values together.
    """

    began: float
    topic: Topic
    read: dict[int, int] = attrs.field(factory=dict)
    results: list[tuple[Received, CheckResult]] = attrs.field(factory=list)
    poison: list[Poison] = attrs.field(factory=list)
    spans: dict[int, Span] = attrs.field(factory=dict)
    set_back: set[int] = attrs.field(factory=set)
    size_bytes: int = 0

    def __len__(self) -> int:
        return len(self.results) + len(self.poison)

    @property
    def progress(self) -> Progress:
        """How far the batch comes in each partition."""
        return Progress(self.topic, self.spans)

    def add(self, messages: Iterable[Received]) -> None:
        """Add messages, decoded or as poison."""
        # Every message passes through here: what is looked up often is looked up once.
        spans, results, size_bytes = self.spans, self.results, 0
        for message in messages:
            partition, offset = message.partition(), message.offset()
            span = spans.get(partition)
            if span is None:
                begin = self.read.get(partition, offset)
                span = spans[partition] = Span(begin, begin)
            if offset != span.end and not self._skipped(partition, span, offset):
                continue
            span.end = offset + 1
            value, key = message.value(), message.key()
            size_bytes += len(value or b"")
            try:
                result = decode(value)
                if key != encode_key(result):
                    raise DecodeError(DecodeReason.WRONG_KEY, f"the key is {key!r}, not {encode_key(result)!r}")
                results.append((message, result))
            except DecodeError as error:
                self.poison.append(Poison(message, str(error.reason), error.detail))
        self.size_bytes += size_bytes
        self.read.update((partition, span.end) for partition, span in spans.items())

    def drop(self, partitions: Collection[int]) -> None:
        """Forget the messages of these partitions."""
        self.results = [pair for pair in self.results if pair[0].partition() not in partitions]
        self.poison = [one for one in self.poison if one.message.partition() not in partitions]
        self.spans = {number: span for number, span in self.spans.items() if number not in partitions}
        kept = [message for message, _ in self.results] + [one.message for one in self.poison]
        self.size_bytes = sum(len(message.value() or b"") for message in kept)

    def _skipped(self, partition: int, span: Span, offset: int) -> bool:
        """Note the offsets that a message leaves out; False when it leaves out none, but comes a second time."""
        if offset < span.end:
            self.set_back.add(partition)
            return False
        if not span.missing:
            span.gap_begin = span.end
        span.gap_end = offset
        span.missing += offset - span.end
        return True
