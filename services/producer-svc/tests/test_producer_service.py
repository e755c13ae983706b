"""What the loop promises about slots, with a clock that the tests move."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs
import pytest

from monitoring_core.clock import from_ms
from monitoring_core.errors import OutageError
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.schedule import slots_between
from monitoring_core.target import CheckDefaults, StatusSet, TargetRecord
from monitoring_runtime.health import Health
from monitoring_runtime.stop import Stop
from producer_svc.assignment import Assignment
from producer_svc.blame import Blame
from producer_svc.check import Check, Origin
from producer_svc.metrics import Metrics
from producer_svc.schedule import Schedule
from producer_svc.service import ProducerService

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULTS = CheckDefaults(interval_s=10, timeout_s=1.0, expected_status=StatusSet.parse("200-299"))
ORIGIN = Origin(1, "default")


@attrs.define
class MovedClock:
    """A clock that stands still until it is moved."""

    ms: int = 1_000_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


@attrs.define
class FakeTargets:
    records: list[TargetRecord]
    outage: str | None = None
    read_once: threading.Event = attrs.field(factory=threading.Event)

    def read(self, ranks: range) -> Sequence[TargetRecord]:
        self.read_once.set()
        if self.outage:
            raise OutageError(self.outage)
        return self.records[ranks.start : ranks.stop]


@attrs.define
class FakeEngine:
    """Finishes a check when it is told to; at once with `instant`."""

    places: int = 1000
    instant: bool = True
    checks: list[Check] = attrs.field(factory=list)

    @property
    def free(self) -> int:
        return self.places - len(self.checks)

    @property
    def running(self) -> int:
        return len(self.checks)

    def submit(self, check: Check) -> None:
        assert self.free > 0
        self.checks.append(check)

    def take_finished(self, wait_s: float) -> list[CheckResult]:
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
class FakeOutbox:
    results: list[CheckResult] = attrs.field(factory=list)
    seconds_to_turn: float = 0.0
    waiting: int = 0
    unsaved: int = 0
    closed: bool = False

    def put(self, result: CheckResult) -> None:
        self.results.append(result)

    def turn(self) -> None:
        pass

    def flush(self, timeout_s: float) -> int:
        return self.waiting

    def close(self) -> None:
        self.closed = True


@attrs.define
class Rig:
    targets: FakeTargets
    engine: FakeEngine = attrs.field(factory=FakeEngine)
    outbox: FakeOutbox = attrs.field(factory=FakeOutbox)
    clock: MovedClock = attrs.field(factory=MovedClock)
    health: Health = attrs.field(factory=Health)
    metrics: Metrics = attrs.field(factory=Metrics)
    service: ProducerService = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.service = ProducerService(
            origin=ORIGIN,
            assignment=Assignment(self.targets, range(1000), DEFAULTS, 30.0, self.clock),
            schedule=Schedule(self.clock),
            engine=self.engine,
            blame=Blame(None, self.clock),
            outbox=self.outbox,
            clock=self.clock,
            health=self.health,
            metrics=self.metrics,
            shutdown_timeout_s=0.0,
        )

    def read_targets(self) -> None:
        """Turn until one more read has been taken."""
        self.targets.read_once.clear()
        self.service.run_once(0)
        assert self.targets.read_once.wait(5)
        reading = self.service.assignment._reading
        assert reading is not None
        reading.exception(5)
        self.service.run_once(0)

    def advance(self, seconds: float, step_ms: int = 500) -> None:
        end = self.clock.ms + int(seconds * 1000)
        while self.clock.ms < end:
            self.clock.ms = min(end, self.clock.ms + step_ms)
            self.service.run_once(0)

    def keys(self) -> list[tuple[int, int]]:
        return sorted((r.target_id, round(r.scheduled_at.timestamp() * 1000)) for r in self.outbox.results)


def records(count: int) -> list[TargetRecord]:
    return [TargetRecord(id=i, url=f"http://w{i}.example/") for i in range(1, count + 1)]


def due(rig: Rig, count: int, start_ms: int) -> list[tuple[int, int]]:
    return [(i, s) for i in range(1, count + 1) for s in slots_between(i, 10, start_ms, rig.clock.ms + 1)]


def test_every_slot_ends_as_exactly_one_result() -> None:
    """What is due from the first read on is published once each, and nothing else is."""
    rig = Rig(FakeTargets(records(20)))
    rig.read_targets()
    start_ms = rig.clock.ms
    rig.advance(35)
    assert rig.keys() == due(rig, 20, start_ms)
    assert len(rig.keys()) >= 60


def test_a_slot_that_cannot_start_in_its_interval_is_missed_and_not_absent() -> None:
    """With an engine that never has room again, each slot still ends as one row, unknown and missed_window."""
    rig = Rig(FakeTargets(records(3)), engine=FakeEngine(places=0))
    rig.read_targets()
    start_ms = rig.clock.ms
    rig.advance(45)
    published = rig.keys()
    assert published == [key for key in due(rig, 3, start_ms) if key[1] + 10_000 <= rig.clock.ms]
    assert {(r.status, r.reason) for r in rig.outbox.results} == {(Status.UNKNOWN, Reason.MISSED_WINDOW)}


def test_waiting_checks_start_in_due_order_when_there_is_room() -> None:
    """A full engine delays checks, it does not reorder them."""
    rig = Rig(FakeTargets(records(8)), engine=FakeEngine(places=0, instant=False))
    rig.read_targets()
    rig.advance(9)
    rig.engine.places = 100
    rig.service.run_once(0)
    started = [check.scheduled_ms for check in rig.engine.checks]
    assert len(started) >= 6
    assert started == sorted(started)


def test_a_stop_accounts_for_everything_that_was_due() -> None:
    """What waits or runs at the stop ends as unknown, so that no slot before the stop is absent."""
    rig = Rig(FakeTargets(records(10)), engine=FakeEngine(places=2, instant=False))
    rig.read_targets()
    start_ms = rig.clock.ms
    rig.advance(9)
    stop = Stop()
    stop.request()
    assert rig.service.run(stop) == 0
    assert rig.keys() == due(rig, 10, start_ms)
    assert {r.reason for r in rig.outbox.results} == {Reason.MISSED_WINDOW, Reason.PROBER_ERROR}
    assert rig.health.readiness() == (False, "stopping")


@pytest.mark.parametrize(
    ("unsaved", "said"), [(0, "they are sent at the next start"), (2, "neither Kafka nor the outbox")]
)
def test_only_results_that_nobody_took_are_lost(unsaved: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status tells whether results are lost, not whether Kafka was there."""
    rig = Rig(FakeTargets([]), outbox=FakeOutbox(waiting=3, unsaved=unsaved))
    stop = Stop()
    stop.request()
    assert rig.service.run(stop) == unsaved
    assert rig.outbox.closed
    assert said in capsys.readouterr().out


def test_targets_added_edited_and_removed_take_effect_without_a_restart() -> None:
    """A refresh begins new targets, drops removed ones and leaves the slots of the others as they are."""
    rig = Rig(FakeTargets(records(2)))
    rig.read_targets()
    start_ms = rig.clock.ms
    rig.advance(29.5)
    rig.targets.records = [
        TargetRecord(id=2, url="http://other.example/"),
        TargetRecord(id=3, url="http://w3.example/"),
    ]
    rig.clock.ms += 500
    rig.read_targets()
    changed_ms = rig.clock.ms
    rig.advance(20)
    expected = [
        *((1, s) for s in slots_between(1, 10, start_ms, changed_ms + 1)),
        *((2, s) for s in slots_between(2, 10, start_ms, rig.clock.ms + 1)),
        *((3, s) for s in slots_between(3, 10, changed_ms, rig.clock.ms + 1)),
    ]
    assert rig.keys() == sorted(expected)


def test_a_bad_target_is_counted_and_does_not_stop_the_others() -> None:
    """A row that nobody can check is left out, and the metric says so."""
    rig = Rig(FakeTargets([TargetRecord(id=1, url="gopher://x"), TargetRecord(id=2, url="http://w.example/")]))
    rig.read_targets()
    rig.advance(10)
    assert {r.target_id for r in rig.outbox.results} == {2}
    assert rig.metrics.registry.get_sample_value("producer_invalid_targets") == 1


def test_checks_go_on_while_postgresql_is_away() -> None:
    """A producer that knows its targets keeps checking them; one that does not is not ready, and says why."""
    rig = Rig(FakeTargets(records(2), outage="PostgreSQL at db:5432 cannot be reached"))
    rig.read_targets()
    assert rig.health.readiness() == (False, "PostgreSQL at db:5432 cannot be reached")
    rig.targets.outage = None
    rig.clock.ms += 60_000
    rig.read_targets()
    assert rig.health.readiness() == (True, "ok")
    rig.targets.outage = "PostgreSQL at db:5432 cannot be reached"
    before = len(rig.outbox.results)
    rig.advance(40)
    assert len(rig.outbox.results) >= before + 6
    assert rig.health.readiness() == (True, "ok")


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_step_of_the_clock_repeats_no_slot_and_leaves_none_out(step_s: int) -> None:
    """Slots stay exactly one each when the wall clock jumps."""
    rig = Rig(FakeTargets(records(2)))
    rig.read_targets()
    start_ms = rig.clock.ms
    rig.advance(15)
    top_ms = rig.clock.ms
    rig.clock.ms += step_s * 1000
    rig.advance(15)
    top_ms = max(top_ms, rig.clock.ms)
    keys = rig.keys()
    assert len(keys) == len(set(keys))
    assert keys == [(i, s) for i in (1, 2) for s in slots_between(i, 10, start_ms, top_ms + 1)]


def test_the_slot_of_a_check_is_the_moment_that_it_was_due() -> None:
    """scheduled_at is the slot, not when the loop got to it."""
    rig = Rig(FakeTargets(records(1)), engine=FakeEngine(instant=False))
    rig.read_targets()
    rig.advance(10, step_ms=9_999)
    check = rig.engine.checks[0]
    assert check.scheduled_at == from_ms(next(slots_between(1, 10, rig.clock.ms - 10_000, rig.clock.ms + 1)))
