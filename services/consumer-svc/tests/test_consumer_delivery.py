"""What becomes of a batch, with fakes of the ports."""

from __future__ import annotations

import pytest
import structlog

from consumer_svc import service as service_module
from consumer_svc.batch import Batch
from consumer_svc.delivery import Delivery, GivenUpError
from consumer_svc.metrics import Metrics
from consumer_svc.places import Span
from consumer_svc.poison_watch import POISON_MINIMUM, PoisonWatch
from consumer_svc.service import ConsumerService
from monitoring_core.clock import Clock, SystemClock
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.health import Health
from monitoring_runtime.retry import RetryPolicy
from monitoring_runtime.topics import Received
from monitoring_testkit.consumer.fakes import (
    PARTITIONS,
    TOPIC,
    FakeDeadLetters,
    FakeSource,
    FakeTopicStates,
    FakeWriter,
)
from monitoring_testkit.consumer.messages import FakeMessage, message
from monitoring_testkit.consumer.placing import place

SOON = RetryPolicy(0.001, 0.001)


def delivery(
    writer: FakeWriter, dead: FakeDeadLetters | None = None, clock: Clock | None = None, max_ratio: float = 1.0
) -> Delivery:
    """A delivery to a database that knows all partitions."""
    writer.positions |= {(TOPIC, number): 0 for number in PARTITIONS if (TOPIC, number) not in writer.positions}
    made = Delivery(writer, dead or FakeDeadLetters(), FakeTopicStates(), Health(), Metrics(), max_ratio, retry=SOON)
    made.clock = clock or made.clock
    return made


def batch(*messages: Received) -> Batch:
    """A batch that begins with its first message, which nothing before it is missing for."""
    made = Batch(0.0, TOPIC, {messages[0].partition(): 0})
    made.add(messages)
    return made


def test_refused_results_go_to_the_dead_letters_alone() -> None:
    """A refused batch is halved until each refused row is alone; the rest is stored."""
    writer, dead = FakeWriter(refused={4, 9}), FakeDeadLetters()
    delivery(writer, dead).deliver(batch(*(message(i) for i in range(12))))
    assert sorted(writer.stored) == [i for i in range(1, 13) if i not in (4, 9)]
    assert [(p.message.offset(), p.reason) for p in dead.sent] == [
        (3, "refused_by_database"),
        (8, "refused_by_database"),
    ]


def test_poison_keeps_its_bytes_and_holds_nobody_up() -> None:
    """Messages that cannot be decoded go to the dead letters unchanged, and the rest is stored."""
    writer, dead = FakeWriter(), FakeDeadLetters()
    delivery(writer, dead).deliver(batch(message(0), message(1, b"\xff"), message(2)))
    assert writer.stored == [1, 3]
    assert [(p.message.value(), p.reason) for p in dead.sent] == [(b"\xff", "not_json")]


def test_an_outage_is_retried_and_never_dead_lettered() -> None:
    """The database being away is not the data's fault."""
    writer, dead = FakeWriter(outages=2), FakeDeadLetters()
    delivery(writer, dead).deliver(batch(message(0)))
    assert (writer.stored, dead.sent) == ([1], [])


def test_a_delivery_given_up_during_an_outage_is_not_done() -> None:
    """Nothing of its batch is then committed."""
    made = delivery(FakeWriter(), FakeDeadLetters(away=True))
    made.given_up.set()
    with pytest.raises(GivenUpError):
        made.deliver(batch(message(0, b"")))


def test_a_wrong_key_is_poison() -> None:
    """A result under the key of another target would not stay in order with its own target's results."""
    dead, good = FakeDeadLetters(), message(4)
    wrong = FakeMessage(partition=0, offset=9, key=b"6", value=good.value())
    delivery(FakeWriter(), dead).deliver(batch(good, wrong, FakeMessage(partition=0, offset=10, value=good.value())))
    assert [(p.message.offset(), p.reason, p.error) for p in dead.sent] == [
        (9, "wrong_key", "the key is b'6', not b'5'"),
        (10, "wrong_key", "the key is None, not b'5'"),
    ]


def test_rows_without_a_partition_of_their_day_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are stored, but somebody has to make partitions. They are counted seldom, since that costs a query."""
    writer = FakeWriter(by_default=3)
    made = delivery(writer)
    with structlog.testing.capture_logs() as logs:
        for number in range(3):
            made.deliver(batch(message(number)))
    assert made.metrics.registry.get_sample_value("consumer_rows_in_default_partition") == 3
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "results of days that have no partition are in the default one: run dbadmin create-schema"
    ]
    assert writer.looks == 1


def test_missing_partitions_are_looked_for_once_a_minute() -> None:
    """Each look costs a query."""
    writer, clock = FakeWriter(), FakeClock()
    made = delivery(writer, clock=clock)
    made.deliver(batch(message(0)))
    clock.advance(59.9)
    made.deliver(batch(message(1)))
    assert writer.looks == 1
    clock.advance(0.1)
    made.deliver(batch(message(2)))
    assert writer.looks == 2


def mixed(begin: int, good: int, bad: int) -> Batch:
    return batch(
        *(message(begin + number) for number in range(good)),
        *(message(begin + good + number, b"?") for number in range(bad)),
    )


def after(made: Delivery, delivered: Batch) -> Delivery:
    """The delivery, after it has delivered one more batch."""
    made.deliver(delivered)
    return made


def test_too_much_poison_makes_the_consumer_not_ready_until_it_is_over() -> None:
    """The schema must be wrong then, not the data. Messages that can be stored are stored all the same."""
    writer = FakeWriter()
    made = delivery(writer, max_ratio=0.1)
    made = after(made, mixed(0, 450, 50))
    assert made.too_much_poison is None  # a tenth is allowed
    made = after(made, mixed(500, 300, 200))
    assert made.too_much_poison is not None
    assert made.too_much_poison.startswith("250 of the last 1000 messages were poison, more than consumer.max_dead")
    made = after(made, mixed(1000, 1000, 0))
    assert made.too_much_poison is None
    assert len(writer.stored) == 1750


def test_a_handful_of_poison_is_no_verdict() -> None:
    """The first messages of a quiet topic may be bad without the schema being wrong."""
    made = delivery(FakeWriter(), max_ratio=0.1)
    made = after(made, mixed(0, 0, POISON_MINIMUM - 1))
    assert made.too_much_poison is None
    made = after(made, mixed(0, 0, 1))
    assert made.too_much_poison is not None


def test_poison_is_judged_from_a_hundred_messages_on() -> None:
    """Fewer say nothing about the schema."""
    assert after(delivery(FakeWriter(), max_ratio=0.1), mixed(0, 0, 99)).too_much_poison is None
    assert after(delivery(FakeWriter(), max_ratio=0.1), mixed(0, 0, 100)).too_much_poison


def test_poison_is_judged_over_the_last_thousand_messages() -> None:
    """Older messages say nothing about the present."""
    watch = PoisonWatch(max_ratio=0.0)
    watch.add(1, 1)
    for _ in range(999):
        watch.add(1, 0)
    assert (watch.alarm or "").startswith("1 of the last 1000 messages were poison")
    watch.add(1, 0)
    assert watch.alarm is None


def test_only_the_partitions_given_up_are_forgotten() -> None:
    """Results and poison from other partitions stay in the batch."""
    made = batch(message(0), message(1, b"?"))
    made.read[3] = 7
    made.add(
        [FakeMessage(partition=3, offset=7, key=b"8", value=message(7).value()), FakeMessage(partition=3, offset=8)]
    )
    made.drop({0})
    assert [taken.offset() for taken, _ in made.results] == [7]
    assert [one.message.offset() for one in made.poison] == [8]
    assert (made.spans, made.size_bytes) == ({3: Span(7, 9)}, len(message(7).value() or b""))


def service(source: FakeSource, made: Delivery, max_rows: int = 5) -> ConsumerService:
    made_service = ConsumerService(source, made, SystemClock(), made.health, max_rows, 60.0, 5.0)
    place(made_service)
    return made_service


def test_offsets_are_committed_after_the_write_and_not_before() -> None:
    """While the batch is being written nothing is committed."""
    writer, source = FakeWriter(), FakeSource([message(i) for i in range(5)])
    consumer = service(source, delivery(writer))
    consumer.run_once(0)
    assert consumer._in_hand is not None
    consumer._in_hand[1].result(60)
    assert source.committed == []
    consumer.run_once(0)
    assert (writer.stored, source.committed) == ([1, 2, 3, 4, 5], [{0: 5}])


def test_a_full_batch_pauses_fetching_while_the_last_one_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory holds two batches at most, however long the database is away."""
    monkeypatch.setattr(service_module, "PATIENCE_S", 0.01)
    source = FakeSource([message(i) for i in range(50)])
    made = delivery(FakeWriter(outages=1_000_000))
    consumer = service(source, made)
    for _ in range(10):
        consumer.run_once(0)
    assert len(source.messages) <= 50 - 10 + 1
    assert source.paused[-1] is True
    assert source.committed == []
    made.given_up.set()


def test_what_is_gathered_is_dropped_with_the_partition() -> None:
    """The partition's next owner reads them again: no offset of an unwritten message is committed."""
    source = FakeSource([message(i) for i in range(3)])
    consumer = service(source, delivery(FakeWriter()))
    consumer.run_once(0)
    consumer.drop({0})
    consumer.run_once(0)
    assert consumer._pending is None
    assert source.committed == []
