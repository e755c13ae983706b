"""How far the partitions of a topic are read and stored: the values that are exchanged about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_runtime.topics import Topic


@attrs.define
class Span:
    """The part of a partition that a batch covers.

    Attributes:
        begin: everything before this offset was in earlier batches.
        end: the offset after the last message.
        missing: how many offsets in between had no message.
        gap_begin: the first of these; meaningless without any.
        gap_end: the offset after the last of these.
    """

    begin: int
    end: int
    missing: int = 0
    gap_begin: int = 0
    gap_end: int = 0


@attrs.frozen
class Progress:
    """How far a batch comes: its span in each partition of a topic."""

    topic: Topic
    spans: Mapping[int, Span]

    @property
    def gaps(self) -> list[Gap]:
        """What is missing between the messages."""
        return [
            Gap(partition, "missing", span.gap_begin, span.gap_end, span.missing)
            for partition, span in self.spans.items()
            if span.missing
        ]


@attrs.frozen
class Gap:
    """Messages that Kafka no longer had when they were due to be stored.

    Attributes:
        reason: `expired` before they were read; `missing` within the partition, as after compaction; `set_back`, when
            Kafka lost the end of the partition; `topic_replaced`, when the topic was made anew.
        messages: how many; 0 when nobody can tell.
    """

    partition: int
    reason: str
    first_offset: int
    next_offset: int
    messages: int


@attrs.frozen
class Asked:
    """The partitions of a consumer.

    Attributes:
        waiting: those that it does not read yet.
        read: those that it reads.
        set_back: those that wait because Kafka has fewer messages than it had.
    """

    waiting: frozenset[int]
    read: frozenset[int] = frozenset()
    set_back: frozenset[int] = frozenset()


@attrs.frozen
class Places:
    """Where partitions are to be read from, and the gaps that were found in finding this out."""

    topic: Topic
    offsets: Mapping[int, int]
    gaps: tuple[Gap, ...] = ()
