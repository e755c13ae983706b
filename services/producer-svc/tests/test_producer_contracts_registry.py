"""The contracts of targets and leases, on the fakes. tests-e2e has them on the tables that dbadmin makes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import attrs
import pytest

from monitoring_core.targets import TargetRecord
from monitoring_core.testing.clock import FakeClock
from monitoring_testkit.producer.contracts.registry import LeasesContract, TargetTableContract
from monitoring_testkit.producer.fakes.registry import FakeLeases, FakeTargetTable


@attrs.frozen
class FakeTargets:
    """The table is its own list."""

    table: FakeTargetTable = attrs.field(factory=lambda: FakeTargetTable([], FakeClock()))

    def put(self, *records: TargetRecord) -> None:
        ids = {record.id for record in records}
        self.table.records = [*(record for record in self.table.records if record.id not in ids), *records]

    def remove(self, target_id: int) -> None:
        self.table.records = [record for record in self.table.records if record.id != target_id]

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.table.outage = "PostgreSQL cannot be reached"
        yield
        self.table.outage = None


class TestFakeTargetTable(TargetTableContract):
    """On the fake."""

    @pytest.fixture
    def stage(self) -> FakeTargets:
        return FakeTargets()


@attrs.define
class FakeProducers:
    """Producers that share leases in memory."""

    clock: FakeClock = attrs.field(factory=FakeClock)
    made: list[FakeLeases] = attrs.field(factory=list)

    def leases(self, holder: str) -> FakeLeases:
        self.made.append(self.made[0].another(holder) if self.made else FakeLeases(self.clock, holder, due_from_ms=0))
        return self.made[-1]

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        for leases in self.made:
            leases.outage = "PostgreSQL cannot be reached"
        yield
        for leases in self.made:
            leases.outage = None


class TestFakeLeases(LeasesContract):
    """On the fake."""

    @pytest.fixture
    def stage(self) -> FakeProducers:
        return FakeProducers()
