"""The contract about settled dead letters: those that were replayed or discarded, and that nobody need look at again.

Kafka keeps it as the committed offset of a group: every dead letter before that offset is settled. The metadata of the
commit names those beyond it, as ranges of distances from the offset, like `2-4,7`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

# Kafka takes 4096 bytes of metadata by default (Kafka documentation, offset.metadata.max.bytes).
MAX_METADATA_BYTES = 4_000


def settled_group(group_id: str) -> str:
    """The group for which it is committed, which nobody joins.

    Args:
        group_id: the group of the consumers.
    """
    return f"{group_id}.replay"


@attrs.frozen
class Settled:
    """Which dead letters of a partition are settled.

    Attributes:
        until: every offset before this one is settled.
        beyond: ranges of settled offsets after that, first and last, in order and apart from each other.
    """

    until: int
    beyond: tuple[tuple[int, int], ...] = ()

    def has(self, offset: int) -> bool:
        """Whether the dead letter at an offset is settled."""
        return offset < self.until or any(first <= offset <= last for first, last in self.beyond)

    def count(self) -> int:
        """How many dead letters beyond `until` are settled."""
        return sum(last - first + 1 for first, last in self.beyond)

    def add(self, offsets: Iterable[int]) -> Settled:
        """This with more offsets that are settled."""
        until, merged = self.until, list[tuple[int, int]]()
        for first, last in sorted([*self.beyond, *((offset, offset) for offset in offsets)]):
            if first <= until:
                until = max(until, last + 1)
            elif merged and first <= merged[-1][1] + 1:
                merged[-1] = merged[-1][0], max(merged[-1][1], last)
            else:
                merged.append((first, last))
        return Settled(until, tuple(merged))

    def from_offset(self, begin: int) -> Settled:
        """This, of a partition whose first message is at `begin`: those before it have expired."""
        if begin <= self.until:
            return self
        left = tuple((max(first, begin), last) for first, last in self.beyond if last >= begin)
        return Settled(begin, left).add(())

    def bounded(self) -> Settled:
        """This, with only as many ranges as the metadata can hold; the first ones are kept."""
        kept, size = 0, 0
        for part in self._parts():
            size += len(part) + 1
            if size > MAX_METADATA_BYTES:
                break
            kept += 1
        return Settled(self.until, self.beyond[:kept])

    def metadata(self) -> str:
        """The ranges beyond `until`, for the commit's metadata."""
        return ",".join(self._parts())

    def _parts(self) -> list[str]:
        return [
            f"{first - self.until}" + (f"-{last - self.until}" if last > first else "") for first, last in self.beyond
        ]


def parse_settled(until: int, metadata: str | None) -> Settled:
    """What `until` and `Settled.metadata` say; metadata of another kind says nothing."""
    beyond: list[tuple[int, int]] = []
    for part in (metadata or "").split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and first.isascii() and (not dash or (last.isdecimal() and last.isascii()))):
            return Settled(until)
        beyond.append((until + int(first), until + int(last or first)))
    ordered = all(before[1] < after[0] for before, after in itertools.pairwise(beyond))
    return Settled(until, tuple(beyond)) if ordered and all(a <= b for a, b in beyond) else Settled(until)
