"""Fakes of the outbox and of what it needs: its file and the way to Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_core.codec import decode
from monitoring_core.errors import OutageError
from monitoring_core.testing.clock import FakeClock
from producer_svc.metrics import Metrics
from producer_svc.outbox import Outbox
from producer_svc.outbox_entries import OutboxBatch, OutboxEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitoring_core.result import CheckResult
    from producer_svc.ports import Sender, Store


@attrs.define
class FakeKafka:
    """A sender that accepts every entry, and acknowledges all of them unless Kafka is `away`."""

    away: bool = False
    sent: list[OutboxEntry] = attrs.field(factory=list)
    unacknowledged: list[OutboxEntry] = attrs.field(factory=list)

    @property
    def in_flight(self) -> int:
        return len(self.unacknowledged)

    @property
    def outage(self) -> str | None:
        return "Kafka cannot be reached" if self.away and self.unacknowledged else None

    @property
    def targets(self) -> list[int]:
        """The targets of the results that were sent."""
        return [decode(entry.value).target_id for entry in self.sent]

    def send(self, entry: OutboxEntry) -> None:
        self.sent.append(entry)
        self.unacknowledged.append(entry)

    def drain_acknowledged(self) -> list[OutboxEntry]:
        if self.away:
            return []
        acknowledged, self.unacknowledged = self.unacknowledged, []
        return acknowledged

    def wait(self, timeout_s: float) -> None:
        pass


@attrs.define
class FakeStore:
    """Batches in memory. What is read is made anew, as from a file.

    Attributes:
        outage: why it can neither be written nor read now.
        damaged: the ids of batches whose entries cannot be read.
    """

    outage: str | None = None
    last_id: int = 0
    closed: bool = False
    damaged: set[int] = attrs.field(factory=set)
    _rows: dict[int, tuple[bool, list[tuple[int, bytes, bytes]]]] = attrs.field(factory=dict)

    def reopened(self) -> FakeStore:
        """The same batches as the next process finds them."""
        return attrs.evolve(self, last_id=max(self._rows, default=0), closed=False)

    @property
    def count(self) -> int:
        return sum(len(entries) for _, entries in self._rows.values())

    @property
    def used_bytes(self) -> int:
        self._fail_in_an_outage()
        return sum(len(key) + len(value) for _, entries in self._rows.values() for _, key, value in entries)

    def write(self, batches: Sequence[OutboxBatch], remove: Sequence[int]) -> None:
        self._fail_in_an_outage()
        for batch in batches:
            self._rows[batch.id] = batch.up, [(entry.slot_ms, entry.key, entry.value) for entry in batch.entries]
        for batch_id in remove:
            self._rows.pop(batch_id, None)

    def first(self, after: int, before: int | None) -> OutboxBatch | None:
        self._fail_in_an_outage()
        between = [i for i in self._rows if i > after and (before is None or i < before)]
        return self._batch(min(between)) if between else None

    def drop(self, after: int, results: int) -> list[OutboxBatch]:
        self._fail_in_an_outage()
        dropped: list[OutboxBatch] = []
        past = sorted((not self._rows[i][0], i) for i in self._rows if i > after)
        for _, batch_id in past:
            if sum(batch.size for batch in dropped) >= results:
                break
            dropped.append(self._batch(batch_id))
        for batch in dropped:
            del self._rows[batch.id]
        return dropped

    def close(self) -> None:
        self.closed = True

    def _batch(self, batch_id: int) -> OutboxBatch:
        up, rows = self._rows[batch_id]
        entries = [OutboxEntry(slot_ms, key, value, up, batch_id) for slot_ms, key, value in rows]
        return OutboxBatch(batch_id, up, [] if batch_id in self.damaged else entries, len(rows))

    def _fail_in_an_outage(self) -> None:
        if self.outage:
            raise OutageError(self.outage)


class FakeOutbox(Outbox):
    """An outbox that only keeps the results that it is given.

    Attributes:
        on_done: told the slot of a result that a test says is in Kafka.
        on_send_all: does what happens meanwhile, and returns how many results are left.
    """

    # In place of the properties.
    waiting = 0
    unsaved = 0
    outage: str | None = None

    def __init__(self, waiting: int = 0, unsaved: int = 0) -> None:
        super().__init__(FakeStore(), FakeKafka(), FakeClock(), Metrics(), 1 << 30, lambda _: None)
        self.waiting, self.unsaved = waiting, unsaved
        self.results: list[CheckResult] = []
        self.closed = False
        self.on_done: Callable[[int], None] = lambda _: None
        self.on_send_all: Callable[[float], int] = lambda _: 0

    def put(self, result: CheckResult) -> None:
        self.results.append(result)

    def flush(self) -> None:
        pass

    def send_all(self, timeout_s: float) -> int:
        return self.on_send_all(timeout_s) or self.waiting

    def close(self) -> None:
        self.closed = True


if TYPE_CHECKING:
    _store: Store = FakeStore()
    _sender: Sender = FakeKafka()
