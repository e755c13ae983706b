"""Results on their way to Kafka, and the batches in which they are saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence


@attrs.define(eq=False)
class OutboxEntry:
    """A result on its way to Kafka.

    Attributes:
        slot_ms: the slot of the check, milliseconds since the epoch.
        up: whether the website was up; such results are dropped first.
        batch: the id of the batch in which the entry is saved; 0 while it is not saved.
        handed: whether Kafka's client has the entry. Only set on an entry that is not saved.
    """

    slot_ms: int
    key: bytes
    value: bytes
    up: bool
    batch: int = 0
    handed: bool = False


@attrs.define(eq=False)
class OutboxBatch:
    """Entries that are saved and removed together: a row for each would cost more than the rest of the outbox's work.

    Attributes:
        id: ascending in the order of saving.
        up: whether its entries are up, which they are all or none.
        entries: empty after they were handed over, or when they cannot be read.
        size: how many entries the batch was made with.
        unacknowledged: how many of its entries Kafka has not acknowledged.
    """

    id: int
    up: bool
    entries: Sequence[OutboxEntry]
    size: int
    unacknowledged: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.unacknowledged = len(self.entries)
