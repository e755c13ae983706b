"""How the loop ends, hands over and says how it is, with fakes of the ports."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Collection, Mapping, Sequence

import attrs
import pytest
from confluent_kafka import Message

from consumer_svc import service as service_module
from consumer_svc.delivery import Delivery
from consumer_svc.metrics import Metrics
from consumer_svc.ports import Poison, WriteCounts
from consumer_svc.service import SLOW_WRITE_S, ConsumerService
from monitoring_core.codec import encode
from monitoring_core.errors import OutageError
from monitoring_core.result import CheckResult, Status
from monitoring_runtime.health import Health
from monitoring_runtime.stop import Stop

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def message(offset: int, partition: int = 0) -> Message:
    result = CheckResult(target_id=offset + 1, scheduled_at=AT, location="x", producer_id=1, status=Status.UP)
    return Message(partition=partition, offset=offset, key=b"%d" % (offset + 1), value=encode(result))


@attrs.define
class MovedClock:
    """A clock that tests move."""

    now: float = 100.0

    def now_ms(self) -> int:
        return round(self.now * 1000)

    def monotonic(self) -> float:
        return self.now


@attrs.define
class ScriptedWriter:
    """Away, or held back, or storing."""

    away: threading.Event = attrs.field(factory=threading.Event)
    free: threading.Event = attrs.field(factory=threading.Event)
    began: threading.Event = attrs.field(factory=threading.Event)
    stored: list[int] = attrs.field(factory=list)

    def prepare(self) -> None:
        pass

    def write(self, results: Sequence[CheckResult]) -> WriteCounts:
        self.began.set()
        if self.away.is_set():
            raise OutageError("PostgreSQL at db:5432 cannot be reached")
        self.free.wait(30)
        self.stored += [result.target_id for result in results]
        return WriteCounts(stored=len(results))

    def rows_by_default(self) -> int:
        return 0


class NoDeadLetters:
    def send(self, poison: Sequence[Poison]) -> None:
        raise AssertionError("nothing here is poison")


@attrs.define
class ListedSource:
    """Gives what it was given, then requests the stop."""

    messages: list[Message]
    stop: Stop = attrs.field(factory=Stop)
    assigned: bool = True
    committed: list[Mapping[int, int]] = attrs.field(factory=list)
    paused: list[bool] = attrs.field(factory=list)
    closed: bool = False

    def subscribe(self, on_revoked: Callable[[Collection[int]], None]) -> None:
        """Nothing is revoked here."""

    def poll(self, limit: int, timeout_s: float) -> list[Message]:
        if self.paused and self.paused[-1]:
            return []
        if not self.messages:
            self.stop.request()
        taken, self.messages = self.messages[:limit], self.messages[limit:]
        return taken

    def pause(self, paused: bool) -> None:
        self.paused.append(paused)

    def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed.append(dict(offsets))

    def close(self) -> None:
        self.closed = True


@attrs.define
class Parts:
    """A service and what it stands on."""

    source: ListedSource
    writer: ScriptedWriter = attrs.field(factory=ScriptedWriter)
    clock: MovedClock = attrs.field(factory=MovedClock)
    service: ConsumerService = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        health = Health()
        delivery = Delivery(self.writer, NoDeadLetters(), health, Metrics())
        self.service = ConsumerService(self.source, delivery, self.clock, health, 5, 2.0, 0.05)

    def delivered(self) -> None:
        """Wait until the batch in hand is done."""
        assert self.service._in_hand
        self.service._in_hand[1].result(10)


def test_stop_stores_and_commits_what_is_in_hand() -> None:
    """A partial batch is not left for the next consumer."""
    parts = Parts(ListedSource([message(0), message(7, partition=3)]))
    parts.writer.free.set()
    parts.service.run(parts.source.stop)
    assert parts.writer.stored == [1, 8]
    assert parts.source.committed == [{0: 1, 3: 8}]
    assert parts.source.closed


def test_stop_during_an_outage_is_prompt_and_commits_nothing() -> None:
    """What cannot be stored is given back uncommitted, to be delivered again."""
    parts = Parts(ListedSource([message(0)]))
    parts.writer.away.set()
    parts.service.run(parts.source.stop)
    assert (parts.writer.stored, parts.source.committed, parts.source.closed) == ([], [], True)


def test_stop_ends_in_time_even_when_the_database_never_answers() -> None:
    """A write that hangs is left behind, uncommitted, after the time allowed."""
    parts = Parts(ListedSource([message(0)]))
    parts.service.run(parts.source.stop)
    assert parts.writer.began.is_set()
    assert (parts.source.committed, parts.source.closed) == ([], True)
    parts.writer.free.set()


def test_a_batch_that_is_not_full_is_written_when_it_is_old_enough() -> None:
    """A quiet topic's results do not wait for company longer than the configured age."""
    parts = Parts(ListedSource([message(0)]))
    parts.writer.free.set()
    parts.service.run_once(0)
    parts.clock.now += 1.9
    parts.service.run_once(0)
    assert parts.service._in_hand is None
    parts.clock.now += 0.2
    parts.service.run_once(0)
    parts.delivered()
    assert parts.writer.stored == [1]


def test_a_batch_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large messages fill a batch before its rows do."""
    parts = Parts(ListedSource([message(0)]))
    parts.writer.free.set()
    monkeypatch.setattr(service_module, "MAX_BATCH_BYTES", 10)
    parts.service.run_once(0)
    parts.delivered()
    assert parts.writer.stored == [1]


def test_partitions_revoked_during_a_write_are_committed_only_when_it_is_done() -> None:
    """The write is waited for, and its offsets go before the partitions do."""
    parts = Parts(ListedSource([message(i) for i in range(5)]))
    parts.service.run_once(0)
    parts.writer.began.wait(10)
    parts.writer.free.set()
    parts.service.drop({0})
    assert parts.source.committed == [{0: 5}]


def test_a_write_that_outlasts_the_revocation_is_never_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its partitions belong to someone else by then."""
    monkeypatch.setattr(service_module, "REVOKE_WAIT_S", 0.01)
    parts = Parts(ListedSource([message(i) for i in range(5)]))
    parts.service.run_once(0)
    parts.service.drop({0})
    parts.writer.free.set()
    parts.delivered()
    parts.service.run_once(0)
    assert (len(parts.writer.stored), parts.source.committed) == (5, [])


def test_ready_means_assigned_and_able_to_write() -> None:
    """An outage is not hidden by an assignment, nor a missing assignment by a write that works."""
    parts = Parts(ListedSource([], assigned=False))
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (False, "no partition is assigned")
    parts.source.assigned = True
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (True, "ok")
    parts.service.delivery.outage = "PostgreSQL at db:5432 cannot be reached"
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (False, "PostgreSQL at db:5432 cannot be reached")


def test_a_write_that_takes_too_long_shows() -> None:
    """Nobody waits for a server that hangs without being told."""
    parts = Parts(ListedSource([message(i) for i in range(5)]))
    parts.service.run_once(0)
    parts.writer.began.wait(10)
    parts.clock.now += SLOW_WRITE_S + 1
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (False, "a batch has been on its way into the database for 11 s")
    parts.writer.free.set()
    parts.delivered()
    parts.service.run_once(0)
    parts.service.run_once(0)
    assert parts.service.health.readiness() == (True, "ok")


def test_a_write_of_ordinary_length_does_not_pause_fetching() -> None:
    """librdkafka would throw away what it has fetched."""
    parts = Parts(ListedSource([message(i) for i in range(12)]))
    threading.Timer(0.05, parts.writer.free.set).start()
    for _ in range(4):
        parts.service.run_once(0)
    assert parts.source.paused == []
    assert parts.writer.stored[:5] == [1, 2, 3, 4, 5]


def test_a_write_that_lasts_pauses_fetching_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches are all that is held."""
    monkeypatch.setattr(service_module, "PATIENCE_S", 0.01)
    parts = Parts(ListedSource([message(i) for i in range(12)]))
    for _ in range(4):
        parts.service.run_once(0)
    assert parts.source.paused == [True]
    assert len(parts.source.messages) == 2
    parts.writer.free.set()
    parts.delivered()
    parts.service.run_once(0)
    assert parts.source.paused == [True, False]
