"""What the loop promises about slots, with a clock that the tests move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby, pairwise
from threading import Event, Thread
from typing import Any

import pytest

from monitoring_core.clock import from_ms
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.schedule import slots_between
from monitoring_core.targets import CheckDefaults, StatusSet, TargetRecord
from monitoring_core.testing.builders import make_target
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.health import Health
from monitoring_runtime.stop import Stop
from monitoring_testkit.producer.fakes.checks import FakeEngine
from monitoring_testkit.producer.fakes.outbox import FakeOutbox
from monitoring_testkit.producer.fakes.registry import FakeLeases, FakeTargetTable
from producer_svc.assignment import Assignment
from producer_svc.blame import Blame
from producer_svc.check import Check, Origin
from producer_svc.claim import Claim
from producer_svc.clock_steps import ClockSteps
from producer_svc.metrics import Metrics
from producer_svc.overload import Overload
from producer_svc.schedule import Schedule
from producer_svc.service import MAX_MISSED, ProducerService
from producer_svc.unaccounted import UnaccountedSlots
from producer_svc.waiting import WaitingChecks

DEFAULTS = CheckDefaults(interval_s=10, timeout_s=1.0, expected_status=StatusSet.parse("200-299"))


LOOK_BACK_MS = 60_000


@pytest.fixture(autouse=True, params=[0.0, 0.1], ids=["no lead", "lead"])
def lead_s(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """How long before it is due the engines of rigs take a check: every promise holds with a lead and without one."""
    lead_s: float = request.param
    monkeypatch.setattr(Rig, "lead_s", lead_s)
    return lead_s


class Rig:
    """A producer on fakes."""

    lead_s = 0.0

    def __init__(
        self,
        records: list[TargetRecord],
        *,
        engine: FakeEngine | None = None,
        outbox: FakeOutbox | None = None,
        producer_id: int | None = 1,
        websites_per_container: int = 1_000,
        max_per_host: int = 1_000,
    ) -> None:
        self.clock = FakeClock()
        self.targets, self.leases = FakeTargetTable(records, self.clock), FakeLeases(self.clock)
        self.engine, self.outbox = engine or FakeEngine(), outbox or FakeOutbox()
        self.engine.lead_s, self.engine.clock = self.lead_s, self.clock
        self.health, self.metrics, self.unaccounted = Health(), Metrics(), UnaccountedSlots()
        self.outbox.on_done = self.unaccounted.remove
        claim = Claim(producer_id, websites_per_container, LOOK_BACK_MS)
        self.service = ProducerService(
            origin=Origin(1, "default"),
            assignment=Assignment(self.targets, self.leases, claim, DEFAULTS, 15.0, 5.0, self.clock),
            schedule=Schedule(self.clock),
            waiting=WaitingChecks(max_per_host, self.clock),
            engine=self.engine,
            blame=Blame(None, self.clock),
            outbox=self.outbox,
            unaccounted=self.unaccounted,
            clock=self.clock,
            health=self.health,
            metrics=self.metrics,
            overload=Overload(self.clock, 50),
            clock_steps=ClockSteps(self.clock),
            shutdown_timeout_s=0.0,
        )

    def step(self) -> None:
        """Let the assignment make one more step, and give its updates to the loop."""
        self._end_step()
        self.service.assignment._next_step = self.service.assignment._next_read = 0.0
        self.service.run_once(0)
        assert self.service.assignment._step_running is not None
        self._end_step()

    def _end_step(self) -> None:
        """Wait for the running step, and give its updates to the loop."""
        step = self.service.assignment._step_running
        while step is not None and self.service.assignment._step_running is step:
            step.exception(5)
            self.service.run_once(0)

    def advance(self, seconds: float, step_ms: int = 500) -> None:
        end_ms = self.clock.now_ms() + int(seconds * 1000)
        while (left_ms := end_ms - self.clock.now_ms()) > 0:
            self.clock.advance(min(left_ms, step_ms) / 1000)
            self.service.run_once(0)
            if step := self.service.assignment._step_running:
                step.exception(5)

    def real(self, target_id: int, slot_ms: int) -> bool:
        """Whether a check of this slot was made."""
        return any(
            r.target_id == target_id and r.scheduled_at == from_ms(slot_ms) and r.status is not Status.UNKNOWN
            for r in self.outbox.results
        )

    def outage(self) -> str | None:
        """A function, because mypy assumes that an attribute keeps the value that was asserted before."""
        return self.service.assignment.outage

    def missed(self) -> int:
        return sum(1 for r in self.outbox.results if r.reason is Reason.MISSED_WINDOW)

    def slots(self) -> list[tuple[int, int]]:
        return sorted((r.target_id, round(r.scheduled_at.timestamp() * 1000)) for r in self.outbox.results)


def records(count: int) -> list[TargetRecord]:
    return [TargetRecord(id=i, url=f"http://w{i}.example/") for i in range(1, count + 1)]


def due(rig: Rig, count: int, start_ms: int) -> list[tuple[int, int]]:
    return [(i, s) for i in range(1, count + 1) for s in slots_between(i, 10, start_ms, rig.clock.now_ms() + 1)]


def test_every_slot_ends_as_exactly_one_result() -> None:
    """What is due from the first read on is published once each, and nothing else is."""
    rig = Rig(records(20))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(35)
    assert rig.slots() == due(rig, 20, start_ms)
    assert len(rig.slots()) >= 60


def test_a_slot_that_cannot_start_in_its_interval_is_missed_and_not_absent() -> None:
    """With an engine that never has room again, each slot still ends as one row, unknown and missed_window."""
    rig = Rig(records(3), engine=FakeEngine(places=0))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(45)
    published = rig.slots()
    assert published == [key for key in due(rig, 3, start_ms) if key[1] + 10_000 <= rig.clock.now_ms()]
    assert {(r.status, r.reason) for r in rig.outbox.results} == {(Status.UNKNOWN, Reason.MISSED_WINDOW)}


def test_waiting_checks_start_in_due_order_when_there_is_room() -> None:
    """A full engine delays checks, it does not reorder them."""
    rig = Rig(records(8), engine=FakeEngine(places=0, instant=False))
    rig.step()
    rig.advance(9)
    rig.engine.places = 100
    rig.service.run_once(0)
    started = [check.scheduled_ms for check in rig.engine.checks]
    assert len(started) >= 6
    assert started == sorted(started)


def test_a_stop_accounts_for_everything_that_was_due() -> None:
    """What waits or runs at the stop ends as unknown, so that no slot before the stop is absent."""
    rig = Rig(records(10), engine=FakeEngine(places=2, instant=False))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(9)
    stop = Stop()
    stop.request()
    assert rig.service.run(stop) == 0
    assert rig.slots() == due(rig, 10, start_ms)
    assert {r.reason for r in rig.outbox.results} == {Reason.MISSED_WINDOW, Reason.PROBER_ERROR}
    assert rig.health.readiness() == (False, "stopping")


@pytest.mark.parametrize(
    ("unsaved", "said"), [(0, "they are sent at the next start"), (2, "neither Kafka nor the outbox")]
)
def test_only_results_that_nobody_took_are_lost(unsaved: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status tells whether results are lost, not whether Kafka was there."""
    rig = Rig([], outbox=FakeOutbox(waiting=3, unsaved=unsaved))
    stop = Stop()
    stop.request()
    assert rig.service.run(stop) == unsaved
    assert rig.outbox.closed
    assert said in capsys.readouterr().out


def test_targets_added_edited_and_removed_take_effect_without_a_restart() -> None:
    """A refresh begins new targets, drops removed ones and leaves the slots of the others as they are."""
    rig = Rig(records(2))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(29.5)
    rig.targets.records = [
        TargetRecord(id=2, url="http://other.example/"),
        TargetRecord(id=3, url="http://w3.example/"),
    ]
    rig.clock.advance(0.5)
    rig.targets.active_since[3] = rig.clock.now_ms()
    rig.step()
    changed_ms = rig.clock.now_ms()
    rig.advance(20)
    expected = [
        *((1, s) for s in slots_between(1, 10, start_ms, changed_ms + 1)),
        *((2, s) for s in slots_between(2, 10, start_ms, rig.clock.now_ms() + 1)),
        *((3, s) for s in slots_between(3, 10, changed_ms, rig.clock.now_ms() + 1)),
    ]
    assert rig.slots() == sorted(expected)


def test_a_read_that_breaks_off_forgets_no_target_that_is_gone() -> None:
    """What was removed is checked no more once the table can be read again."""
    rig = Rig(records(3))
    rig.step()
    rig.targets.records = records(2)
    rig.targets.breaks_off = True
    rig.step()
    assert rig.metrics.registry.get_sample_value("producer_targets") == 3
    rig.targets.breaks_off = False
    rig.step()
    assert rig.metrics.registry.get_sample_value("producer_targets") == 2
    rig.outbox.results.clear()
    rig.advance(20)
    assert {target for target, _ in rig.slots()} == {1, 2}


def test_what_nobody_checked_for_long_does_not_hold_up_the_checks_of_now() -> None:
    """Nor is any of it left out: it is written down beside them."""
    rig = Rig(records(1_000), websites_per_container=1_000)
    start_ms = rig.leases.accounted_until[1] = rig.clock.now_ms() - 50_000
    rig.step()
    while len(rig.service.schedule) < 1_000:
        rig.service.run_once(0)
    began_ms = rig.clock.now_ms()
    rig.clock.advance(2)
    fresh = [(i, slot) for i in range(1, 1_001) for slot in slots_between(i, 10, began_ms, rig.clock.now_ms() + 1)]
    assert len(fresh) > MAX_MISSED
    rig.service.run_once(0)
    assert all(rig.real(target_id, slot) for target_id, slot in fresh)
    rig.advance(30)
    assert rig.slots() == due(rig, 1_000, start_ms)


def test_a_first_read_that_breaks_off_leaves_no_slot_out() -> None:
    """What the last holder left, and what became due until the range could be read, is accounted for."""
    rig = Rig(records(10))
    start_ms = rig.clock.now_ms()
    rig.leases.accounted_until[1] = start_ms
    rig.clock.advance(20)
    rig.targets.breaks_off = True
    rig.step()
    rig.advance(12)
    assert not rig.health.readiness()[0]
    rig.targets.breaks_off = False
    rig.step()
    assert rig.health.readiness()[0]
    rig.advance(10)
    assert rig.slots() == due(rig, 10, start_ms)


def test_checks_begin_while_the_rest_of_the_range_is_read() -> None:
    """The targets read first do not wait for the last ones, which lose no slot while they are not read yet."""
    rig = Rig(records(3_000), websites_per_container=3_000)
    told, go_on = Event(), Event()

    def stop_at(target_id: int) -> None:
        if target_id == 2_500:
            told.set()
            assert go_on.wait(5)

    rig.targets.on_row = stop_at
    rig.service.run_once(0)
    assert told.wait(5)
    start_ms = rig.clock.now_ms()
    for _ in range(8):
        rig.clock.advance(0.5)
        rig.service.run_once(0)
    assert len(rig.service.schedule) == 2_000
    assert 500 < len(rig.outbox.results) < 1_500
    assert not rig.health.readiness()[0]
    go_on.set()
    rig.advance(10)
    assert rig.health.readiness()[0]
    assert rig.slots() == due(rig, 3_000, start_ms)


def test_a_stop_during_the_first_read_accounts_for_nothing_that_was_not_read() -> None:
    """The next producer begins where the last holder ended."""
    rig = Rig(records(3))
    since_ms = rig.leases.accounted_until[1] = rig.clock.now_ms() - 30_000
    rig.targets.breaks_off = True
    rig.step()
    rig.step()
    assert rig.leases.accounted_until[1] == since_ms
    stop = Stop()
    stop.request()
    rig.service.run(stop)
    assert rig.leases.holders == {}
    assert rig.leases.accounted_until[1] == since_ms


def test_the_watermark_waits_for_targets_that_are_not_read_yet() -> None:
    """A target that has come to this producer may have slots that nobody else accounts for."""
    rig = Rig(records(3))
    rig.step()
    rig.advance(7)
    for result in rig.outbox.results:
        rig.outbox.on_done(round(result.scheduled_at.timestamp() * 1000))
    known_ms = rig.service.assignment._reader.current_at_ms
    rig.targets.records = records(4)
    rig.targets.breaks_off = True
    rig.clock.advance(1)
    rig.step()
    rig.step()
    assert rig.leases.accounted_until[1] <= known_ms
    rig.targets.breaks_off = False
    rig.step()
    rig.step()
    assert rig.leases.accounted_until[1] > known_ms


def test_an_id_that_is_lost_while_postgresql_goes_away_is_worked_no_more() -> None:
    """The producer knows that another one holds the ID, even if PostgreSQL cannot be asked right after."""
    rig = Rig(records(3))
    rig.step()
    rig.leases.holders[1] = "another"
    rig.leases.loses_connection = True
    rig.step()
    assert len(rig.service.schedule) == 0


def test_a_bad_target_is_counted_and_does_not_stop_the_others() -> None:
    """Each of its slots ends as a row that says why, none of them is checked, and the metric says so."""
    rig = Rig([TargetRecord(id=1, url="gopher://x"), TargetRecord(id=2, url="http://w.example/")])
    start_ms = rig.clock.now_ms()
    rig.step()
    rig.advance(30)
    until_ms = rig.clock.now_ms()
    assert [slot for slot in rig.slots() if slot[1] <= until_ms] == due(rig, 2, start_ms)
    bad = [r for r in rig.outbox.results if r.target_id == 1]
    assert {(r.status, r.reason, r.error, r.producer_id) for r in bad} == {
        (Status.UNKNOWN, Reason.INVALID_TARGET, "url: must begin with http:// or https://, got 'gopher://x'", 1)
    }
    assert all(r.status is not Status.UNKNOWN for r in rig.outbox.results if r.target_id == 2)
    assert rig.metrics.registry.get_sample_value("producer_invalid_targets") == 1


@pytest.mark.parametrize("field", ["headers", "labels"])
@pytest.mark.parametrize("value", [{"X-Retries": 1}, {"X": ["a"]}, {"X": None}, ["X"], "X", 1, True])
def test_json_that_is_no_text_by_name_makes_a_bad_target(field: str, value: object) -> None:
    """PostgreSQL takes any JSON; a target that cannot be used is not checked, and the others are."""
    fields: dict[str, Any] = {field: value}
    rig = Rig([TargetRecord(id=1, url="http://w.example/", **fields), TargetRecord(id=2, url="http://w.example/")])
    rig.step()
    rig.advance(10)
    assert {(r.target_id, r.reason) for r in rig.outbox.results} == {(1, Reason.INVALID_TARGET), (2, None)}
    assert rig.metrics.registry.get_sample_value("producer_invalid_targets") == 1
    fields[field] = {"X": "1"}
    rig.targets.records = [TargetRecord(id=i, url="http://w.example/", **fields) for i in (1, 2, 3)]
    rig.step()
    assert rig.metrics.registry.get_sample_value("producer_invalid_targets") == 0


def test_a_target_that_becomes_bad_and_good_again_leaves_no_slot_out() -> None:
    """Its slots go on: checked, then invalid, then checked."""
    rig = Rig([TargetRecord(id=1, url="http://w.example/")])
    start_ms = rig.clock.now_ms()
    for regexp in (None, "(", None):
        rig.targets.records = [TargetRecord(id=1, url="http://w.example/", regexp=regexp)]
        rig.step()
        rig.advance(20)
    until_ms = rig.clock.now_ms()
    assert [slot for slot in rig.slots() if slot[1] <= until_ms] == due(rig, 1, start_ms)
    said = [r.reason for r in sorted(rig.outbox.results, key=lambda r: r.scheduled_at)]
    assert [reason for reason, _ in groupby(said)] == [None, Reason.INVALID_TARGET, None]


def test_slots_of_a_bad_target_that_nobody_ran_are_invalid_too() -> None:
    """Nobody could have run them: the producer that takes over says so, not that they were missed."""
    rig = Rig([TargetRecord(id=1, url="http://w.example/", regexp="(")])
    rig.leases.accounted_until[1] = rig.clock.now_ms() - 60_000
    rig.step()
    rig.advance(1)
    assert {r.reason for r in rig.outbox.results} == {Reason.INVALID_TARGET}
    assert len(rig.outbox.results) >= 6


def test_checks_go_on_while_postgresql_is_away() -> None:
    """A producer that knows its targets keeps checking them; one that does not is not ready, and says why."""
    rig = Rig(records(2))
    rig.targets.outage = "PostgreSQL at db:5432 cannot be reached"
    rig.step()
    assert rig.health.readiness() == (False, "PostgreSQL at db:5432 cannot be reached")
    rig.targets.outage = None
    rig.clock.advance(60)
    rig.step()
    assert rig.health.readiness() == (True, "ok")
    rig.targets.outage = "PostgreSQL at db:5432 cannot be reached"
    before = len(rig.outbox.results)
    rig.advance(40)
    assert len(rig.outbox.results) >= before + 6
    assert rig.health.readiness() == (True, "ok")


def test_a_producer_that_reads_the_range_of_another_id_is_not_ready() -> None:
    """The targets that it knows belong to the ID that it has lost."""
    rig = Rig(records(30), producer_id=None, websites_per_container=10)
    rig.leases.holders = {1: "another", 2: "another"}
    rig.step()
    assert rig.health.readiness()[0]
    del rig.leases.holders[1]
    rig.targets.records = records(20)
    reading, go_on = Event(), Event()

    def stop_at(_: int) -> None:
        reading.set()
        assert go_on.wait(5)

    rig.targets.on_row = stop_at
    rig.service.assignment._next_step = 0.0
    rig.service.run_once(0)
    assert reading.wait(5)
    rig.service.run_once(0)
    assert (rig.health.readiness()[0], len(rig.service.schedule)) == (False, 0)
    go_on.set()
    rig.step()
    assert (rig.health.readiness()[0], len(rig.service.schedule)) == (True, 10)


def test_an_id_that_is_given_up_leaves_no_slot_out() -> None:
    """No other producer takes it: slots that were due are still this producer's, beside those of its next ID."""
    rig = Rig(records(30), producer_id=None, websites_per_container=10, engine=FakeEngine(places=0))
    rig.leases.holders = {1: "another", 2: "another"}
    rig.leases.accounted_until[3] = rig.clock.now_ms() - 35_000
    start_ms = rig.clock.now_ms() - 35_000
    rig.step()
    rig.advance(4)
    rig.service.schedule.begin_again(rig.clock.now_ms() - 15_000)  # some are not popped yet
    given_up_ms = rig.clock.now_ms()
    rig.targets.records = records(20)
    rig.step()
    assert (rig.leases.holders, len(rig.service.schedule)) == ({1: "another", 2: "another"}, 0)
    del rig.leases.holders[1]
    rig.step()
    rig.engine.places = 1_000
    rig.advance(1)
    of_third = {slot for slot in rig.slots() if slot[0] > 20}
    expected = {(i, s) for i in range(21, 31) for s in slots_between(i, 10, start_ms, given_up_ms + 1)}
    assert of_third == expected


def test_checks_go_on_on_a_machine_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is not renewed and the stop does not give it back; that is all."""
    rig = Rig(records(2))
    rig.step()
    start_ms = rig.clock.now_ms()

    def fails(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", fails)
        rig.advance(20)
        assert rig.outage() == "can't start new thread"
    rig.advance(20)
    assert rig.outage() is None
    monkeypatch.setattr(Thread, "start", fails)
    stop = Stop()
    stop.request()
    assert rig.service.run(stop) == 0
    assert rig.slots() == due(rig, 2, start_ms)


def test_a_clock_set_forward_leaves_no_slot_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The slots passed over are missed, each once, and the log says why."""
    rig = Rig(records(2))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(15)
    rig.clock.step_wall(3600)
    rig.advance(15)
    assert rig.slots() == due(rig, 2, start_ms)
    assert 716 <= rig.missed() <= 720
    assert "the clock was set forward" in capsys.readouterr().out


def test_a_clock_set_back_stops_no_checks(capsys: pytest.CaptureFixture[str]) -> None:
    """Slots come again, and their results replace what was missed while it was ahead: they are the same rows."""
    rig = Rig(records(2))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(15)
    top_ms = rig.clock.now_ms()
    rig.clock.step_wall(-3600)
    back_ms = rig.clock.now_ms()
    rig.advance(15)
    first = [(i, s) for i in (1, 2) for s in slots_between(i, 10, start_ms, top_ms + 1)]
    again = [(i, s) for i in (1, 2) for s in slots_between(i, 10, back_ms, rig.clock.now_ms() + 1)]
    assert rig.slots() == sorted([*first, *again])
    assert "the clock was set back" in capsys.readouterr().out


def test_a_clock_that_was_ahead_for_a_while_leaves_only_real_results() -> None:
    """The slots missed in that time are checked after all."""
    rig = Rig(records(2))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(15)
    rig.clock.step_wall(3600)
    rig.advance(1)
    rig.clock.step_wall(-3600)
    rig.advance(3700, step_ms=1_000)
    real = {(i, s) for i, s in rig.slots() if rig.real(i, s)}
    assert real == set(due(rig, 2, start_ms))


def test_a_slot_that_comes_again_while_its_check_runs_is_not_run_twice() -> None:
    """Afterwards its host has all its places, and the watermark goes on."""
    rig = Rig(records(1), engine=FakeEngine(instant=False), max_per_host=2)
    rig.step()
    rig.advance(3)
    (running,) = rig.engine.checks
    rig.clock.step_wall(-6)
    while rig.clock.now_ms() <= running.scheduled_ms + 200:
        rig.advance(0.5)
    assert rig.engine.checks == [running]
    rig.engine.instant = True
    rig.advance(30)
    for result in rig.outbox.results:
        rig.outbox.on_done(round(result.scheduled_at.timestamp() * 1000))
    assert rig.service.accounted_until_ms() == rig.clock.now_ms()
    assert not rig.service.waiting._running


def test_an_id_that_is_taken_again_at_once_begins_no_check_twice() -> None:
    """The watermark at which it was given up is behind the checks that go on."""
    rig = Rig(records(11), producer_id=None, websites_per_container=10, engine=FakeEngine(instant=False))
    rig.leases.holders = {1: "another"}
    rig.step()
    rig.advance(10)
    (running,) = rig.engine.checks
    rig.targets.records = records(10)
    rig.step()
    assert rig.leases.accounted_until[2] <= running.scheduled_ms
    rig.targets.records = records(11)
    rig.step()
    rig.service.run_once(0)
    assert rig.engine.checks == [running]


def test_a_clock_that_was_ahead_leaves_the_next_producer_no_slot_out() -> None:
    """The watermark of the lease goes no further than PostgreSQL's clock, neither at a renewal nor at the stop."""
    rig = Rig(records(2))
    rig.targets.clock = rig.leases.clock = postgresql = FakeClock()
    rig.step()
    rig.advance(5)
    postgresql.advance((rig.clock.now_ms() - postgresql.now_ms()) / 1000)
    rig.clock.step_wall(3_600)
    while rig.service.schedule.seconds_to_next == 0:
        rig.service.run_once(0)
    for result in rig.outbox.results:
        rig.outbox.on_done(round(result.scheduled_at.timestamp() * 1000))
    rig.step()
    assert rig.leases.accounted_until[1] == postgresql.now_ms()
    stop = Stop()
    stop.request()
    rig.service.run(stop)
    assert rig.leases.holders == {}
    assert rig.leases.accounted_until[1] == postgresql.now_ms()


def test_a_lease_from_a_clock_that_was_ahead_stops_no_checks() -> None:
    """The next holder works from now on."""
    rig = Rig(records(2))
    rig.leases.accounted_until[1] = rig.clock.now_ms() + 3_600_000
    start_ms = rig.clock.now_ms()
    rig.step()
    rig.advance(15)
    assert rig.slots() == due(rig, 2, start_ms)


def test_the_slot_of_a_check_is_the_moment_that_it_was_due() -> None:
    """scheduled_at is the slot, not when the loop got to it."""
    rig = Rig(records(1), engine=FakeEngine(instant=False))
    rig.step()
    rig.advance(10, step_ms=9_999)
    check = rig.engine.checks[0]
    assert check.scheduled_at == from_ms(
        next(slots_between(1, 10, rig.clock.now_ms() - 10_000, rig.clock.now_ms() + 1))
    )


def test_a_host_has_a_few_checks_at_once_and_holds_up_no_other() -> None:
    """Hanging checks of one host leave the engine to the rest."""
    slow = [TargetRecord(id=i, url=f"http://slow.example/{i}") for i in range(1, 21)]
    rig = Rig([*slow, *(TargetRecord(id=i, url=f"http://w{i}.example/") for i in range(21, 41))], max_per_host=3,
              engine=FakeEngine(instant=False))  # fmt: skip
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(9.8)
    hosts = Counter(check.target.host for check in rig.engine.checks)
    assert hosts.pop("slow.example") == 3
    assert set(hosts.values()) == {1}
    assert len(hosts) >= 18
    rig.engine.instant = True
    rig.advance(30)
    assert rig.slots() == due(rig, 40, start_ms)
    assert not rig.service.waiting._running


def test_checks_that_have_started_are_forgotten_while_others_wait() -> None:
    """A producer that is behind for hours holds little more than the checks that wait."""
    waiting = WaitingChecks(10_000, FakeClock())
    one, other = make_target(id=1, interval_s=3600), make_target(id=2, interval_s=3600)
    for number in range(5_000):
        waiting.add(Check(one, number, 0.0))
        waiting.add(Check(other, number, 0.0))
        assert waiting.pop() is not None
        if number >= 10:
            assert waiting.pop() is not None
    assert len(waiting) == 10
    assert len(waiting._deadlines) <= 1_020
    assert len(waiting.clear()) == 10


def test_a_second_producer_of_an_id_stands_by_and_takes_over_without_a_gap() -> None:
    """Slots that nobody ran end as missed_window; those that can still start in their window are run."""
    rig = Rig(records(10))
    rig.leases.holders[1] = "another"
    rig.leases.accounted_until[1] = rig.clock.now_ms()
    start_ms = rig.clock.now_ms()
    rig.step()
    assert len(rig.service.schedule) == 0
    rig.clock.advance(40)
    del rig.leases.holders[1]
    rig.step()
    rig.advance(10)
    assert rig.slots() == due(rig, 10, start_ms)
    missed = [r for r in rig.outbox.results if r.reason is Reason.MISSED_WINDOW]
    assert 25 <= len(missed) <= 35
    assert {r.error for r in missed} == {"no producer ran it in its window"}


def test_the_first_producer_of_an_id_accounts_for_the_slots_since_activation() -> None:
    """Though nobody held the ID before: what was due meanwhile is missed, and not absent."""
    rig = Rig(records(2))
    rig.leases.due_from_ms = 0
    begun_ms = rig.clock.now_ms() - 40_000
    rig.targets.active_since = {1: begun_ms, 2: begun_ms - 1_000_000}
    rig.step()
    rig.advance(5)
    until_ms = rig.clock.now_ms()
    first_ms = {1: begun_ms, 2: until_ms - 5_000 - LOOK_BACK_MS}
    expected = [(i, s) for i in (1, 2) for s in slots_between(i, 10, first_ms[i], until_ms + 1)]
    assert [slot for slot in rig.slots() if slot[1] <= until_ms] == expected
    assert rig.missed() >= 6


def test_the_look_back_is_bounded() -> None:
    """A producer that comes after a week does not write a week of missed slots."""
    rig = Rig(records(3))
    rig.leases.accounted_until[1] = rig.clock.now_ms() - 7 * 86_400_000
    start_ms = rig.clock.now_ms() - LOOK_BACK_MS
    rig.step()
    rig.advance(5)
    assert rig.slots() == due(rig, 3, start_ms)


def test_slots_that_nobody_ran_are_written_down_a_few_at_a_time() -> None:
    """A large number of missed slots must not delay the checks of now."""
    rig = Rig(records(500))
    rig.leases.accounted_until[1] = rig.clock.now_ms() - LOOK_BACK_MS
    start_ms = rig.clock.now_ms() - LOOK_BACK_MS
    rig.step()
    written = [rig.missed()]
    while rig.service.schedule.seconds_to_next == 0:
        rig.service.run_once(0)
        written.append(rig.missed())
    assert written[-1] > 2_000
    assert max(after - before for before, after in pairwise(written)) <= 100
    assert rig.slots() == due(rig, 500, start_ms)


def test_a_target_that_came_later_has_no_missed_slots() -> None:
    """It was not due before it was active."""
    rig = Rig(records(2))
    rig.leases.accounted_until[1] = rig.clock.now_ms() - 50_000
    rig.targets.active_since[2] = rig.clock.now_ms() - 20_000
    start_ms = rig.clock.now_ms()
    rig.step()
    rig.advance(5)
    since = {1: start_ms - 50_000, 2: start_ms - 20_000}
    expected = [(i, s) for i, since_ms in since.items() for s in slots_between(i, 10, since_ms, rig.clock.now_ms() + 1)]
    assert rig.slots() == expected


def test_a_producer_whose_id_was_taken_stands_by() -> None:
    """It begins no more checks; the producer that took its ID accounts for those that it had not begun."""
    rig = Rig(records(5), engine=FakeEngine(places=0))
    rig.step()
    rig.advance(3)
    rig.leases.holders[1] = "another"
    rig.step()
    assert (len(rig.service.schedule), len(rig.service.waiting)) == (0, 0)
    rig.engine.places = 10
    rig.advance(30)
    assert rig.outbox.results == []


def test_the_watermark_stays_behind_what_kafka_has_not_acknowledged() -> None:
    """The next holder accounts for everything after it."""
    rig = Rig(records(20))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(8)
    results = sorted(rig.outbox.results, key=lambda r: r.scheduled_at)
    assert len(results) >= 10
    first_ms = round(results[0].scheduled_at.timestamp() * 1000)
    assert start_ms <= rig.service.accounted_until_ms() <= first_ms
    for result in results[:5]:
        rig.outbox.on_done(round(result.scheduled_at.timestamp() * 1000))
    sixth_ms = round(results[5].scheduled_at.timestamp() * 1000)
    assert first_ms < rig.service.accounted_until_ms() <= sixth_ms
    for result in results[5:]:
        rig.outbox.on_done(round(result.scheduled_at.timestamp() * 1000))
    assert rig.service.accounted_until_ms() == rig.clock.now_ms()


def test_a_stop_gives_the_id_back() -> None:
    """The next producer need not wait for the lease to run out."""
    rig = Rig(records(5))
    rig.step()
    stop = Stop()
    stop.request()
    rig.service.run(stop)
    assert rig.leases.holders == {}


def test_slots_that_become_due_during_the_stop_are_for_the_next_producer() -> None:
    """The watermark of the lease is the moment at which this producer stopped to pop slots."""
    rig = Rig(records(5))
    rig.step()
    rig.advance(3)
    began_ms = rig.clock.now_ms()
    for result in rig.outbox.results:
        rig.outbox.on_done(round(result.scheduled_at.timestamp() * 1000))

    def slow_flush(timeout_s: float) -> int:
        rig.clock.advance(2)
        return 0

    rig.outbox.on_send_all = slow_flush
    stop = Stop()
    stop.request()
    rig.service.run(stop)
    assert rig.leases.accounted_until[1] == began_ms


def test_auto_takes_the_lowest_free_id_that_is_needed_and_gives_it_up_when_it_is_not() -> None:
    """Producers come and go with the number of targets."""
    rig = Rig(records(25), producer_id=None, websites_per_container=10)
    rig.leases.holders = {1: "another"}
    rig.step()
    assert (rig.service.origin.producer_id, len(rig.service.schedule)) == (2, 10)
    rig.targets.records = records(9)
    rig.step()
    assert (rig.leases.holders, len(rig.service.schedule)) == ({1: "another"}, 0)
    rig.targets.records = records(11)
    rig.step()
    assert (rig.leases.holders[2], len(rig.service.schedule)) == ("me", 1)


def test_nothing_is_read_while_nothing_has_changed() -> None:
    """A refresh costs one small query."""
    rig = Rig(records(5))
    for _ in range(5):
        rig.step()
    assert rig.targets.reads == 1
    rig.targets.records = records(6)
    rig.step()
    assert (rig.targets.reads, len(rig.service.schedule)) == (2, 6)


def test_a_target_of_another_producer_is_taken_on_without_a_gap() -> None:
    """A target moves when targets before it go; the new producer accounts for its slots since the last read."""
    rig = Rig(records(3), websites_per_container=2)
    rig.step()
    moved_ms = rig.clock.now_ms()
    rig.advance(4)
    rig.targets.records = records(3)[1:]
    rig.clock.advance(6)
    rig.step()
    rig.advance(10)
    third = [slot for target_id, slot in rig.slots() if target_id == 3]
    assert third == list(slots_between(3, 10, third[0], rig.clock.now_ms() + 1))
    assert third[0] < rig.clock.now_ms() - 10_000
    assert third[0] >= moved_ms


@pytest.mark.parametrize("ago_s", [40, LOOK_BACK_MS / 1000 + 10])
def test_a_target_of_a_dead_producer_is_accounted_for_since_that_one_died(ago_s: float) -> None:
    """Within the look-back: no other producer would write down the slots before the target moved."""
    rig = Rig(records(3), websites_per_container=2)
    rig.step()
    rig.advance(4)
    began_ms = rig.clock.now_ms()
    died_ms = rig.leases.accounted_until[2] = round(began_ms - 1000 * ago_s)
    rig.targets.records = records(3)[1:]
    rig.step()
    rig.advance(10)
    third = [slot for target_id, slot in rig.slots() if target_id == 3]
    within = ago_s < LOOK_BACK_MS / 1000
    assert third == list(slots_between(3, 10, died_ms if within else began_ms - 4_000, rig.clock.now_ms() + 1))
    assert [slot for slot in third if rig.real(3, slot)] == [slot for slot in third if slot > began_ms - 10_000]
    second = [slot for target_id, slot in rig.slots() if target_id == 2]
    assert second == list(slots_between(2, 10, began_ms - 4_000, rig.clock.now_ms() + 1))


def test_overload_names_the_number_that_would_help(capsys: pytest.CaptureFixture[str]) -> None:
    """It is said once a minute, with the number of checks that missed their window."""
    clock = FakeClock()
    overload = Overload(clock, 50)
    at = from_ms(clock.now_ms())
    overload.finished(
        CheckResult(
            target_id=1,
            scheduled_at=at,
            location="x",
            producer_id=1,
            status=Status.UP,
            started_at=at,
            finished_at=from_ms(clock.now_ms() + 2_000),
        )
    )
    for _ in range(3):
        overload.missed += 7
        overload.report(70.0, FakeEngine(places=0))
    said = capsys.readouterr().out
    assert said.count("overloaded") == 1
    assert "monitor.max_concurrent_checks: 200, or 4 producers in place of this one" in said


def test_a_producer_that_chooses_its_id_moves_when_fewer_are_needed() -> None:
    """It goes on with the lowest free ID, and works the targets of that ID alone."""
    rig = Rig(records(30), producer_id=None, websites_per_container=10)
    rig.leases.holders = {1: "another", 2: "another"}
    rig.step()
    rig.advance(20)
    assert {target for target, _ in rig.slots()} == set(range(21, 31))
    rig.targets.records = records(20)
    del rig.leases.holders[1]
    rig.step()
    rig.outbox.results.clear()
    rig.advance(20)
    assert {target for target, _ in rig.slots()} == set(range(1, 11))
    assert rig.service.origin.producer_id == 1
    assert rig.leases.holders == {1: "me", 2: "another"}


def test_a_producer_that_stands_by_is_not_ready_and_says_for_whom() -> None:
    """An operator who asks a producer that checks nothing is told why."""
    rig = Rig(records(3))
    rig.leases.holders[1] = "another"
    rig.step()
    assert rig.health.readiness() == (False, "standing by: producer 1 is held by another")
    del rig.leases.holders[1]
    rig.step()
    assert rig.health.readiness() == (True, "ok")
    rig.leases.holders[1] = "a third"
    rig.step()
    assert rig.health.readiness() == (False, "standing by: producer 1 is held by a third")


def test_a_producer_without_a_website_says_so_and_how_many_ids_are_needed() -> None:
    """A fresh system is told from one whose producers do not work; who has a fixed ID does not count the websites."""
    rig = Rig([], producer_id=None, websites_per_container=10)
    rig.step()
    assert rig.health.readiness() == (False, "standing by: no target is active")
    assert rig.metrics.registry.get_sample_value("producer_ids_needed") == 0
    rig.targets.records = records(30)
    rig.step()
    assert rig.metrics.registry.get_sample_value("producer_ids_needed") == 3
    fixed = Rig(records(30), websites_per_container=10)
    fixed.step()
    assert fixed.metrics.registry.get_sample_value("producer_ids_needed") is None


def test_a_producer_whose_results_do_not_get_to_kafka_is_not_ready_and_says_why() -> None:
    """It goes on checking, and is ready again when they do."""
    rig = Rig(records(2))
    rig.step()
    assert rig.health.readiness() == (True, "ok")
    rig.outbox.outage = "topic results does not exist: run dbadmin create-topics"
    rig.advance(20)
    assert rig.health.readiness() == (False, "topic results does not exist: run dbadmin create-topics")
    assert rig.outbox.results
    rig.outbox.outage = None
    rig.advance(1)
    assert rig.health.readiness() == (True, "ok")


class TimedEngine(FakeEngine):
    """Finishes one check in each wait, which takes a millisecond, and notes how long the loop would have waited."""

    def __init__(self, on_wait: Callable[[], None], places: int = 1_000) -> None:
        super().__init__(places)
        self.on_wait = on_wait
        self.waits: list[float] = []
        self.enough = 1

    def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
        self.waits.append(wait_s)
        self.enough = enough
        self.on_wait()
        later, self.checks = self.checks[1:], self.checks[:1]
        finished = super().drain_finished(wait_s, enough)
        self.checks = later
        return finished


class TimedStop(Stop):
    """Notes how long the loop would have waited, and stops it after some waits."""

    def __init__(self, rig: Rig, waits: int = 1) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._rig = rig
        self._left = waits

    def wait(self, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        self._rig.clock.advance(timeout_s)
        self._left -= 1
        if not self._left:
            self.request()
        return self.requested


def running(count: int) -> list[Check]:
    return [Check(make_target(id=i), 0, 0.0) for i in range(1, count + 1)]


def test_an_iteration_lasts_four_milliseconds_though_more_is_due_sooner() -> None:
    """With an iteration for each check, the loop would cost more than the check."""
    engine = TimedEngine(lambda: None)
    rig = Rig(records(500), engine=engine)
    rig.leases.accounted_until[1] = rig.clock.now_ms() - LOOK_BACK_MS
    rig.step()
    assert rig.service.schedule.seconds_to_next == 0
    engine.waits, stop = [], TimedStop(rig)
    rig.service.run_once(0.5, stop)
    assert [wait_s for wait_s in [*stop.waits, *engine.waits] if wait_s] == [0.004]


def test_an_iteration_works_all_that_finishes_until_the_next_check_is_due() -> None:
    """It wakes up once, not once for each result."""
    engine = TimedEngine(lambda: None)
    rig = Rig([], engine=engine)
    rig.step()
    engine.checks, engine.waits = running(20), []
    rig.service.run_once(0.01, TimedStop(rig))
    assert engine.waits == [0.01]
    assert engine.enough >= 20


def test_while_checks_wait_an_iteration_ends_four_milliseconds_after_a_result() -> None:
    """Its place is for the first that waits."""
    engine = TimedEngine(lambda: rig.clock.advance(0.001), places=20)
    rig = Rig(records(20), engine=engine)
    rig.step()
    engine.checks = running(20)
    rig.clock.advance(9)
    rig.outbox.results.clear()
    rig.service.run_once(0.1, TimedStop(rig))
    assert rig.service.waiting
    assert 4 <= len(rig.outbox.results) <= 5


def test_a_loop_with_nothing_to_do_looks_around_twice_a_second() -> None:
    """A stop wakes it."""
    rig = Rig([])
    rig.step()
    stop = TimedStop(rig)
    rig.service.run(stop)
    assert stop.waits == [0.5]


def test_a_range_is_taken_on_as_fast_as_it_is_read() -> None:
    """Its parts do not wait for checks that are due; a lead would make the loop sleep between them."""
    rig = Rig(records(9_000), websites_per_container=9_000, engine=FakeEngine(instant=False, places=100_000))
    rig.service.run_once(0)
    step = rig.service.assignment._step_running
    assert step is not None
    step.exception(5)
    stop = TimedStop(rig, waits=1_000)
    before = rig.clock.monotonic()
    while len(rig.service.schedule) < 9_000:
        rig.service.run_once(0.5, stop)
    assert rig.clock.monotonic() - before < 0.2


def test_a_loop_whose_checks_run_waits_half_a_second_at_most(lead_s: float) -> None:
    """Results are not published later; without a lead, a stop is not noticed later than in a tenth."""
    engine = TimedEngine(lambda: None)
    rig = Rig([], engine=engine)
    rig.step()
    engine.instant, engine.waits = False, []
    engine.checks = running(3)
    stop = TimedStop(rig)
    rig.service.run_once(0.5, stop)
    assert (stop.waits, engine.waits) == ([], [0.5 if lead_s else 0.1])


def test_a_check_is_submitted_before_it_is_due_as_early_as_the_engine_allows(lead_s: float) -> None:
    """The loop then sleeps, and the engine begins the check when it is due."""
    rig = Rig(records(20), engine=FakeEngine(instant=False))
    rig.step()
    for _ in range(9_000):
        before = len(rig.engine.checks)
        rig.clock.advance(0.001)
        rig.service.run_once(0)
        for check in rig.engine.checks[before:]:
            ahead_ms = check.scheduled_ms - rig.clock.now_ms()
            assert ahead_ms == pytest.approx(1000 * lead_s, abs=1)
            assert check.due - rig.clock.monotonic() == pytest.approx(ahead_ms / 1000)
    assert len(rig.engine.checks) > 10


def test_an_engine_without_places_is_given_no_check_early() -> None:
    """Places are for checks that are due; the others neither hold them nor wait."""
    rig = Rig(records(1_000), engine=FakeEngine(places=3, instant=False))
    rig.step()
    rig.clock.advance(1)
    rig.service.run_once(0)
    assert len(rig.engine.checks) == 3
    due_ms = rig.clock.now_ms()
    assert all(check.scheduled_ms <= due_ms for check in rig.service.waiting.clear())


@pytest.mark.parametrize("lead_s", [0.1], ids=["lead"], indirect=True)
def test_checks_that_are_not_due_take_no_place_from_those_that_wait(lead_s: float) -> None:
    """Nor do they keep the loop awake: when the engine has caught up, none waits."""
    rig = Rig(records(1_000), engine=FakeEngine(places=10))
    rig.step()
    rig.clock.advance(0.5)
    rig.service.run_once(0)
    assert rig.service.waiting
    for _ in range(10):
        rig.service.run_once(0)
    assert not rig.service.waiting


@pytest.mark.parametrize("lead_s", [0.1], ids=["lead"], indirect=True)
def test_a_loop_whose_engine_is_full_sleeps_until_a_check_is_due(lead_s: float) -> None:
    """No iteration finds nothing: a check that cannot be submitted early is no reason to wake up early."""
    rig = Rig(records(20), engine=FakeEngine(places=0, instant=False))
    rig.step()
    rig.clock.advance(rig.service.schedule.seconds_to_next - 0.09)
    stop = TimedStop(rig)
    rig.service.run_once(0.5, stop)
    assert stop.waits == [pytest.approx(0.09, abs=0.002)]


@pytest.mark.parametrize("lead_s", [0.1], ids=["lead"], indirect=True)
def test_a_stop_leaves_what_was_submitted_early_to_the_next_producer(lead_s: float) -> None:
    """When it cannot be awaited: it was not due, and a row that says unknown would be wrong."""
    rig = Rig(records(1_000), engine=FakeEngine(instant=False))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(3)
    assert any(check.scheduled_ms > rig.clock.now_ms() for check in rig.engine.checks)
    stop = Stop()
    stop.request()
    rig.service.run(stop)
    assert rig.slots() == due(rig, 1_000, start_ms)
    for result in rig.outbox.results:
        rig.outbox.on_done(round(result.scheduled_at.timestamp() * 1000))
    assert rig.unaccounted.oldest_ms is None


@pytest.mark.parametrize("lead_s", [0.1], ids=["lead"], indirect=True)
def test_what_was_submitted_early_is_accounted_for(lead_s: float) -> None:
    """The watermark stays before it until its result is in Kafka, though later slots may be popped."""
    rig = Rig(records(1_000), engine=FakeEngine(instant=False))
    rig.step()
    rig.advance(3)
    first_ms = min(check.scheduled_ms for check in rig.engine.checks)
    rig.clock.advance(0.1)
    assert rig.service.accounted_until_ms() <= first_ms
    early = [check for check in rig.engine.checks if check.scheduled_ms > rig.clock.now_ms() - 100]
    assert early
    rig.engine.instant = True
    rig.advance(2)
    assert all(rig.real(check.target.id, check.scheduled_ms) for check in early)


@pytest.mark.parametrize("lead_s", [0.1], ids=["lead"], indirect=True)
@pytest.mark.parametrize("step_s", [-6.0, 6.0])
def test_a_clock_that_is_set_within_the_lead_leaves_no_slot_out_and_runs_none_twice_at_once(
    step_s: float, lead_s: float
) -> None:
    """What was submitted early begins when it would have been due, once."""
    rig = Rig(records(1_000), engine=FakeEngine(instant=False))
    rig.step()
    start_ms = rig.clock.now_ms()
    rig.advance(8)
    early = [check for check in rig.engine.checks if check.scheduled_ms > rig.clock.now_ms()]
    assert early
    rig.clock.step_wall(step_s)
    rig.service.run_once(0)
    slots = [(check.target.id, check.scheduled_ms) for check in rig.engine.checks]
    assert len(slots) == len(set(slots))
    rig.engine.instant = True
    rig.advance(20)
    assert set(rig.slots()) == set(due(rig, 1_000, start_ms))


@pytest.mark.parametrize("lead_s", [0.1], ids=["lead"], indirect=True)
def test_a_target_that_is_removed_within_the_lead_ends_as_one_row(lead_s: float) -> None:
    """Its check was submitted already; it has no other one."""
    rig = Rig(records(1_000), engine=FakeEngine(instant=False))
    rig.step()
    rig.advance(8)
    early = [check for check in rig.engine.checks if check.scheduled_ms > rig.clock.now_ms()]
    removed = early[-1].target.id
    rig.targets.records = [record for record in records(1_000) if record.id != removed]
    rig.step()
    rig.engine.instant = True
    rig.advance(20)
    assert [slot for target_id, slot in rig.slots() if target_id == removed][-1] == early[-1].scheduled_ms


@pytest.mark.parametrize("lead_s", [0.1], ids=["lead"], indirect=True)
def test_an_id_that_is_lost_within_the_lead_names_the_checks_submitted_early(lead_s: float) -> None:
    """Their results come after all, beside those of the producer that holds the ID now: rows are stored once."""
    rig = Rig(records(1_000), engine=FakeEngine(instant=False))
    rig.step()
    rig.advance(8)
    early = {check.scheduled_ms for check in rig.engine.checks if check.scheduled_ms > rig.clock.now_ms()}
    rig.leases.holders[1] = "another"
    rig.step()
    rig.engine.instant = True
    rig.advance(20)
    assert max(slot for _, slot in rig.slots()) == max(early)
    assert {result.producer_id for result in rig.outbox.results} == {1}


def test_an_iteration_pops_two_thousand_checks_at_most() -> None:
    """After a pause there may be millions, and the loop must go on to say that it lives."""
    rig = Rig(records(3_000), websites_per_container=3_000, engine=FakeEngine(places=0))
    rig.step()
    while len(rig.service.schedule) < 3_000:
        rig.service.run_once(0)
    before = len(rig.service.waiting)
    rig.clock.advance(9.9)
    rig.service.run_once(0)
    assert len(rig.service.waiting) - before == 2_000
    rig.service.run_once(0)
    assert 2_900 < len(rig.service.waiting) <= 3_000


def test_an_iteration_writes_down_a_hundred_missed_slots() -> None:
    """An hour of a large range is written down in minutes, beside the checks of now."""
    rig = Rig(records(500))
    rig.leases.accounted_until[1] = rig.clock.now_ms() - LOOK_BACK_MS
    rig.step()
    before = rig.missed()
    rig.service.run_once(0)
    assert rig.missed() - before == 100
