"""Fakes of the producer's ports: in memory, at once, and broken when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from monitoring_core.clock import Clock
from monitoring_core.codec import decode
from monitoring_core.errors import OutageError
from monitoring_core.result import CheckResult, Status
from monitoring_core.targets import TargetRecord
from monitoring_core.testing.clock import FakeClock
from producer_svc.check import Check, Origin
from producer_svc.metrics import Metrics
from producer_svc.outbox import Outbox
from producer_svc.outbox_entries import OutboxBatch, OutboxEntry

if TYPE_CHECKING:
    from producer_svc.ports import Canaries, Engine, Leases, Sender, Store, TargetTable


@attrs.define
class FakeTargetTable:
    """Targets in a list, all of them active.

    Attributes:
        outage: why it cannot be asked now.
        active_since: by id, milliseconds since the epoch; 0 for the others.
        reads: how often the range was read.
        breaks_off: whether a read ends after its first row.
        on_row: told each id before its row is given.
    """

    records: list[TargetRecord]
    clock: Clock
    outage: str | None = None
    active_since: dict[int, int] = attrs.field(factory=dict)
    reads: int = 0
    breaks_off: bool = False
    on_row: Callable[[int], None] = lambda _: None

    def version(self) -> tuple[int, int]:
        if self.outage:
            raise OutageError(self.outage)
        return hash(str(self.records)), self.clock.now_ms()

    def count_active(self) -> int:
        return len(self.records)

    def read(self, ranks: range) -> Iterator[tuple[TargetRecord, int]]:
        self.reads += 1
        for record in self.records[ranks.start : ranks.stop]:
            self.on_row(record.id or 0)
            yield record, self.active_since.get(record.id or 0, 0)
            if self.breaks_off:
                raise OutageError("the connection is lost")


@attrs.define
class FakeLeases:
    """Leases of one location, for any number of producers. They end when they are released, and never run out.

    Attributes:
        me: the holder that acquires.
        holders: by ID.
        accounted_until: the watermarks, by ID.
        loses_connection: whether nothing can be acquired now.
    """

    clock: Clock
    me: str = "me"
    holders: dict[int, str] = attrs.field(factory=dict)
    accounted_until: dict[int, int] = attrs.field(factory=dict)
    loses_connection: bool = False
    renewals: int = 0

    def acquire(self, producer_id: int, lease_s: float) -> int | None:
        if self.loses_connection:
            raise OutageError("the connection is lost")
        if self.holders.setdefault(producer_id, self.me) != self.me:
            return None
        return self.accounted_until.setdefault(producer_id, self.clock.now_ms())

    def renew(self, producer_id: int, accounted_until_ms: int, lease_s: float) -> bool:
        if self.holders.get(producer_id) != self.me:
            return False
        self.renewals += 1
        self.accounted_until[producer_id] = max(self.accounted_until[producer_id], accounted_until_ms)
        return True

    def release(self, producer_id: int, accounted_until_ms: int) -> None:
        if self.renew(producer_id, accounted_until_ms, 0):
            del self.holders[producer_id]

    def free(self, needed: int, limit: int) -> list[int]:
        return [number for number in range(1, needed + 1) if number not in self.holders][:limit]

    def unheld_since(self, look_back_s: float) -> int | None:
        since_ms = self.clock.now_ms() - 1000 * look_back_s
        unheld = (ms for number, ms in self.accounted_until.items() if number not in self.holders and ms > since_ms)
        return min(unheld, default=None)

    def holder(self, producer_id: int) -> str | None:
        return self.holders.get(producer_id)


@attrs.define
class FakeEngine:
    """Ends each check as up when its results are drained; never while it is not `instant`.

    Attributes:
        checks: those that run.
    """

    places: int = 1000
    instant: bool = True
    checks: list[Check] = attrs.field(factory=list)

    @property
    def free(self) -> int:
        return self.places - len(self.checks)

    @property
    def running(self) -> int:
        return len(self.checks)

    def submit(self, check: Check, origin: Origin) -> None:
        assert self.free > 0
        self.checks.append(check)

    def drain_finished(self, wait_s: float) -> list[CheckResult]:
        if not self.instant:
            return []
        done, self.checks = self.checks, []
        return [
            CheckResult(
                target_id=c.target.id, scheduled_at=c.scheduled_at, location="default", producer_id=1, status=Status.UP
            )
            for c in done
        ]

    def abandon(self) -> list[Check]:
        left, self.checks = self.checks, []
        return left


@attrs.define
class FakeCanaries:
    """Canaries that give the answer that a test sets after they were asked."""

    asked: int = 0
    answer: bool | None = None

    def ask(self) -> None:
        self.asked += 1
        self.answer = None

    def poll(self) -> bool | None:
        return self.answer


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
    """

    outage: str | None = None
    last_id: int = 0
    closed: bool = False
    _rows: dict[int, tuple[bool, list[tuple[int, bytes, bytes]]]] = attrs.field(factory=dict, init=False)

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
        return OutboxBatch(batch_id, up, entries, len(entries))

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
    seconds_to_flush = 0.0
    waiting = 0
    unsaved = 0

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
    _table: TargetTable = FakeTargetTable([], FakeClock())
    _leases: Leases = FakeLeases(FakeClock())
    _engine: Engine = FakeEngine()
    _canaries: Canaries = FakeCanaries()
    _store: Store = FakeStore()
    _sender: Sender = FakeKafka()
