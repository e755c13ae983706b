"""How the loop ends, hands over and says how it is, with fakes of the ports."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import Future

import attrs
import pytest

from consumer_svc import service as service_module
from consumer_svc.batch import Batch
from consumer_svc.delivery import Delivery
from consumer_svc.metrics import Metrics
from consumer_svc.service import SLOW_WRITE_S, ConsumerService
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.health import Health
from monitoring_runtime.retry import OUTAGE
from monitoring_testkit.consumer.fakes import TOPIC, FakeSource, FakeTopicStates, FakeWriter, NoDeadLetters
from monitoring_testkit.consumer.messages import message
from monitoring_testkit.consumer.placing import place


@attrs.define
class Parts:
    """A service and its fakes. Unless it is to `run`, the service reads all partitions from their beginning."""

    source: FakeSource
    placed: bool = True
    writer: FakeWriter = attrs.field(factory=lambda: FakeWriter(free=threading.Event()))
    clock: FakeClock = attrs.field(factory=FakeClock)
    states: FakeTopicStates = attrs.field(factory=FakeTopicStates)
    service: ConsumerService = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        health = Health()
        delivery = Delivery(self.writer, NoDeadLetters(), self.states, health, Metrics())
        self.service = ConsumerService(self.source, delivery, self.clock, health, 5, 2.0, 0.05)
        if self.placed:
            place(self.service)

    def delivered(self) -> None:
        """Wait until the batch in hand is done."""
        assert self.service._in_hand
        self.service._in_hand[1].result(60)


def test_stop_stores_and_commits_what_is_in_hand() -> None:
    """A partial batch is not left for the next consumer."""
    parts = Parts(FakeSource([message(0), message(7, partition=3)]), placed=False)
    parts.writer.free.set()
    parts.service.run(parts.source.stop)
    assert parts.writer.stored == [1, 8]
    assert parts.source.committed == [{0: 1, 3: 8}]
    assert parts.source.closed


def test_stop_during_an_outage_is_prompt_and_commits_nothing() -> None:
    """What cannot be stored is given back uncommitted, to be delivered again."""
    parts = Parts(FakeSource([message(0)]))
    parts.writer.away.set()
    parts.service.run(parts.source.stop)
    assert (parts.writer.stored, parts.source.committed, parts.source.closed) == ([], [], True)


def test_stop_ends_in_time_even_when_the_database_never_answers() -> None:
    """A write that hangs is left behind, uncommitted, after the time allowed."""
    parts = Parts(FakeSource([message(0)]), placed=False)
    parts.service.run(parts.source.stop)
    assert parts.writer.began.is_set()
    assert (parts.source.committed, parts.source.closed) == ([], True)
    parts.writer.free.set()


def test_a_batch_that_is_not_full_is_written_when_it_is_old_enough() -> None:
    """The results of a quiet topic wait for more no longer than the configured age."""
    parts = Parts(FakeSource([message(0)]))
    parts.writer.free.set()
    parts.service.run_once(0)
    parts.clock.advance(1.9)
    parts.service.run_once(0)
    assert parts.service._in_hand is None
    parts.clock.advance(0.2)
    parts.service.run_once(0)
    parts.delivered()
    assert parts.writer.stored == [1]


def test_a_batch_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large messages fill a batch before its rows do."""
    parts = Parts(FakeSource([message(0)]))
    parts.writer.free.set()
    monkeypatch.setattr(service_module, "MAX_BATCH_BYTES", 10)
    parts.service.run_once(0)
    parts.delivered()
    assert parts.writer.stored == [1]


def test_partitions_revoked_during_a_write_are_committed_only_when_it_is_done() -> None:
    """The service waits for the write, and commits its offsets before the partitions are given up."""
    parts = Parts(FakeSource([message(i) for i in range(5)]))
    parts.service.run_once(0)
    parts.writer.began.wait(60)
    parts.writer.free.set()
    parts.service.drop({0})
    assert parts.source.committed == [{0: 5}]


def test_a_write_that_outlasts_the_revocation_is_never_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By then its partitions belong to another consumer."""
    monkeypatch.setattr(service_module, "REVOKE_WAIT_S", 0.01)
    parts = Parts(FakeSource([message(i) for i in range(5)]))
    parts.service.run_once(0)
    parts.service.drop({0})
    parts.writer.free.set()
    parts.delivered()
    parts.service.run_once(0)
    assert (len(parts.writer.stored), parts.source.committed) == (5, [])


def test_ready_means_assigned_and_able_to_write() -> None:
    """An outage is not hidden by an assignment, nor a missing assignment by a write that works.

    A consumer that may not read does not look like a spare, nor like one that has nothing to read.
    """
    parts = Parts(FakeSource([]), placed=False)
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (False, "no partition is assigned")
    parts.source.outage = "Kafka at k:1 cannot be reached"
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (False, "Kafka at k:1 cannot be reached")
    parts.source.assigned = True
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (False, "Kafka at k:1 cannot be reached")
    parts.source.outage = None
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (True, "ok")
    parts.service.delivery._outage.lasts("PostgreSQL at db:5432 cannot be reached")
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (False, "PostgreSQL at db:5432 cannot be reached")


def test_a_write_that_takes_too_long_shows() -> None:
    """When the server hangs, readiness says so."""
    parts = Parts(FakeSource([message(i) for i in range(5)]))
    parts.service.run_once(0)
    parts.writer.began.wait(60)
    parts.clock.advance(SLOW_WRITE_S + 1)
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (False, "a batch has been on its way into the database for 11 s")
    parts.writer.free.set()
    parts.delivered()
    parts.service.run_once(0)
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (True, "ok")


def test_a_write_of_ordinary_length_does_not_pause_fetching() -> None:
    """librdkafka would throw away what it has fetched."""
    parts = Parts(FakeSource([message(i) for i in range(12)]))
    threading.Timer(0.05, parts.writer.free.set).start()
    for _ in range(4):
        parts.service.run_once(0)
    assert parts.source.paused == []
    assert parts.writer.stored[:5] == [1, 2, 3, 4, 5]


def test_a_write_that_lasts_pauses_fetching_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service holds no more than two batches."""
    monkeypatch.setattr(service_module, "PATIENCE_S", 0.01)
    parts = Parts(FakeSource([message(i) for i in range(12)]))
    for _ in range(4):
        parts.service.run_once(0)
    assert parts.source.paused == [True]
    assert len(parts.source.messages) == 2
    parts.writer.free.set()
    parts.delivered()
    parts.service.run_once(0)
    assert parts.source.paused == [True, False]


@attrs.define
class Waits:
    """Stands for concurrent.futures.wait: notes how long was to be waited, and does not wait."""

    timeouts_s: list[float] = attrs.field(factory=list)

    def __call__(self, futures: Collection[Future[None]], timeout_s: float) -> None:
        self.timeouts_s.append(timeout_s)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    waits = Waits()
    monkeypatch.setattr(service_module, "wait", waits)
    return waits


def test_a_full_batch_waits_a_second_for_the_last_write_before_fetching_is_paused(waits: Waits) -> None:
    """Once it is paused, each iteration waits no longer than it would for messages."""
    parts = Parts(FakeSource([message(i) for i in range(12)]))
    for _ in range(4):
        parts.service.run_once(0.1)
    assert waits.timeouts_s == [1.0, 0.1]
    parts.writer.free.set()


def test_the_group_waits_five_seconds_for_a_write_when_partitions_are_revoked(waits: Waits) -> None:
    """Longer would hold up every member."""
    parts = Parts(FakeSource([message(i) for i in range(5)]))
    parts.service.run_once(0)
    parts.service.drop({0})
    assert waits.timeouts_s == [5.0]
    parts.writer.free.set()


@pytest.mark.parametrize(("missing_bytes", "handed_over"), [(1, False), (0, True)])
def test_a_batch_is_full_with_64_mib_of_messages(missing_bytes: int, handed_over: bool) -> None:
    """Two batches of large messages fit into the memory of a container."""
    last = message(0)
    parts = Parts(FakeSource([last]))
    parts.writer.free.set()
    size_bytes = (64 << 20) - missing_bytes - len(last.value() or b"")
    parts.service._pending = Batch(parts.clock.monotonic(), TOPIC, parts.service.placement.read, size_bytes=size_bytes)
    parts.service.run_once(0)
    assert (parts.service._in_hand is not None) is handed_over


def test_a_poll_asks_for_what_the_batch_has_room_for_and_for_a_thousand_at_most(waits: Waits) -> None:
    """When there is no room it still asks for one message: polling is what keeps the membership in the group."""
    parts = Parts(FakeSource([message(i) for i in range(2_400)]))
    parts.service.max_rows = 1_200
    for _ in range(5):
        parts.service.run_once(0.1)
    assert [limit for limit, _ in parts.source.polls] == [1_000, 200, 1_000, 200, 1]
    parts.writer.free.set()


def test_the_loop_looks_ten_times_a_second_whether_it_is_to_stop() -> None:
    """A poll lasts at most a tenth of a second."""
    parts = Parts(FakeSource([message(0)]), placed=False)
    parts.writer.free.set()
    parts.service.run(parts.source.stop)
    assert {timeout_s for _, timeout_s in parts.source.polls} <= {0.1, 0}
    assert (5, 0.1) in parts.source.polls


def test_a_write_shows_when_it_has_taken_more_than_ten_seconds() -> None:
    """A shorter write is not reported, because large batches take their time."""
    parts = Parts(FakeSource([message(i) for i in range(5)]))
    parts.service.run_once(0)
    parts.clock.advance(10)
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (True, "ok")
    parts.clock.advance(0.1)
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (False, "a batch has been on its way into the database for 10 s")
    parts.writer.free.set()


def test_an_outage_is_retried_by_the_policy_for_outages() -> None:
    """This is the default, which only tests change."""
    assert Parts(FakeSource([])).service.delivery.retry is OUTAGE
