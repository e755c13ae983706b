"""Results on their way to Kafka, and the batches in which they are saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence


@attrs.define(eq=False)
class OutboxEntry:
    """A result on its way.

    Attributes:
        slot_ms: of the check.
        up: whether the website was up: such results are given up first.
        batch: the id of the batch in which it is saved; 0 before.
        handed: whether Kafka's client has it. Kept only for an entry that is not saved.
    """

    slot_ms: int
    key: bytes
    value: bytes
    up: bool
    batch: int = 0
    handed: bool = False


@attrs.define(eq=False)
class OutboxBatch:
    """Entries that are saved and removed together: a row for each would cost more than everything else.

    Attributes:
        id: ascending in the order of saving.
        up: whether all of its entries are; else none is.
        entries: empty once they were handed over, or when they cannot be read.
        size: how many entries it was made with.
        unacknowledged: how many of them Kafka has not acknowledged.
    """

    id: int
    up: bool
    entries: Sequence[OutboxEntry]
    size: int
    unacknowledged: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.unacknowledged = len(self.entries)
