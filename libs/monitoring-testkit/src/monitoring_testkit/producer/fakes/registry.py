"""Fakes of the table of targets and of the leases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from monitoring_core.errors import OutageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitoring_core.clock import Clock
    from monitoring_core.targets import TargetRecord
    from producer_svc.ports import Leases, TargetTable


@attrs.define
class FakeTargetTable:
    """Targets in a list, which a test changes.

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
    _version: int = attrs.field(default=0, init=False)
    _last_seen: list[TargetRecord] = attrs.field(factory=list, init=False)

    def version(self) -> tuple[int, int]:
        self._fail_in_an_outage()
        if self._last_seen != self.records:
            self._version, self._last_seen = self._version + 1, list(self.records)
        return self._version, self.clock.now_ms()

    def count_active(self) -> int:
        self._fail_in_an_outage()
        return len(self._active())

    def read(self, ranks: range) -> Iterator[tuple[TargetRecord, int]]:
        self._fail_in_an_outage()
        self.reads += 1
        for record in self._active()[ranks.start : ranks.stop]:
            self.on_row(record.id or 0)
            yield record, self.active_since.get(record.id or 0, 0)
            if self.breaks_off:
                raise OutageError("the connection is lost")

    def _active(self) -> list[TargetRecord]:
        return sorted((record for record in self.records if record.active), key=lambda record: record.id or 0)

    def _fail_in_an_outage(self) -> None:
        if self.outage:
            raise OutageError(self.outage)


@attrs.define
class FakeLeases:
    """Leases of one location, for any number of producers.

    Attributes:
        me: the holder that acquires.
        holders: by ID, until it is released. A holder that a test sets holds without an end.
        accounted_until: the watermarks, by ID.
        due_from_ms: the watermark of an ID that nobody held before; None for the moment at which it is acquired.
        loses_connection: whether nothing can be acquired now.
        outage: why nothing at all can be done now.
    """

    clock: Clock
    me: str = "me"
    holders: dict[int, str] = attrs.field(factory=dict)
    accounted_until: dict[int, int] = attrs.field(factory=dict)
    due_from_ms: int | None = None
    loses_connection: bool = False
    outage: str | None = None
    renewals: int = 0
    # When the lease of an ID and its holder ends (ms), and who held the IDs that were released.
    _ends: dict[tuple[int, str], float] = attrs.field(factory=dict)
    _former: dict[int, str] = attrs.field(factory=dict)

    def another(self, me: str) -> FakeLeases:
        """The same leases for another producer."""
        return attrs.evolve(self, me=me, renewals=0)

    def acquire(self, producer_id: int, lease_s: float) -> int | None:
        self._fail_in_an_outage()
        if self.loses_connection:
            raise OutageError("the connection is lost")
        if self._is_held(producer_id) and self.holders[producer_id] != self.me:
            return None
        self._hold(producer_id, lease_s)
        due_from_ms = self.clock.now_ms() if self.due_from_ms is None else self.due_from_ms
        return self.accounted_until.setdefault(producer_id, due_from_ms)

    def renew(self, producer_id: int, accounted_until_ms: int, lease_s: float) -> bool:
        if self.holder(producer_id) != self.me:
            return False
        self.renewals += 1
        self._hold(producer_id, lease_s)
        self.accounted_until[producer_id] = max(self.accounted_until[producer_id], accounted_until_ms)
        return True

    def release(self, producer_id: int, accounted_until_ms: int) -> None:
        if self.renew(producer_id, accounted_until_ms, 0):
            self._former[producer_id] = self.holders.pop(producer_id)

    def free(self, needed: int, limit: int) -> list[int]:
        self._fail_in_an_outage()
        return [number for number in range(1, needed + 1) if not self._is_held(number)][:limit]

    def unheld_since(self, look_back_s: float) -> int | None:
        self._fail_in_an_outage()
        since_ms = self.clock.now_ms() - 1000 * look_back_s
        unheld = (ms for number, ms in self.accounted_until.items() if not self._is_held(number) and ms > since_ms)
        return min(unheld, default=None)

    def holder(self, producer_id: int) -> str | None:
        self._fail_in_an_outage()
        return self.holders.get(producer_id, self._former.get(producer_id))

    def _hold(self, producer_id: int, lease_s: float) -> None:
        self.holders[producer_id] = self.me
        self._ends[producer_id, self.me] = self.clock.now_ms() + 1000 * lease_s

    def _is_held(self, producer_id: int) -> bool:
        holder = self.holders.get(producer_id)
        return holder is not None and self._ends.get((producer_id, holder), math.inf) > self.clock.now_ms()

    def _fail_in_an_outage(self) -> None:
        if self.outage:
            raise OutageError(self.outage)


if TYPE_CHECKING:
    from monitoring_core.testing.clock import FakeClock

    _table: TargetTable = FakeTargetTable([], FakeClock())
    _leases: Leases = FakeLeases(FakeClock())
