"""From where partitions are read, and what becomes of a database or a topic that is not what it was; with fakes."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import structlog

from consumer_svc.batch import Batch
from consumer_svc.delivery import Delivery
from consumer_svc.metrics import Metrics
from consumer_svc.placement import LOOK_EVERY_S
from consumer_svc.places import Gap, Span
from consumer_svc.ports import BehindError
from consumer_svc.service import ConsumerService
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.health import Health
from monitoring_runtime.retry import RetryPolicy
from monitoring_testkit.consumer.fakes import (
    PARTITIONS,
    TOPIC,
    FakeDeadLetters,
    FakeSource,
    FakeTopicStates,
    FakeWriter,
)
from monitoring_testkit.consumer.messages import message
from monitoring_testkit.waiting import until


@attrs.define
class World:
    """A topic, a database and a consumer between them, whose clock a test moves."""

    source: FakeSource
    writer: FakeWriter = attrs.field(factory=FakeWriter)
    dead: FakeDeadLetters = attrs.field(factory=FakeDeadLetters)
    states: FakeTopicStates = attrs.field(factory=FakeTopicStates)
    clock: FakeClock = attrs.field(factory=FakeClock)
    service: ConsumerService = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        health = Health()
        delivery = Delivery(
            self.writer, self.dead, self.states, health, Metrics(), retry=RetryPolicy(0.001, 0.001), clock=self.clock
        )
        self.service = ConsumerService(self.source, delivery, self.clock, health, 5, 0.0, 5.0)
        self.source.subscribe(self.service.placement.assign, self.service.drop)

    def turn_until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until something is so."""

        def so() -> bool:
            self.service.run_once(0)
            return condition()

        until(so)

    def until_stored(self, *targets: int) -> None:
        self.turn_until(lambda: sorted(self.writer.stored) == sorted(targets))
        self.settle()

    def settle(self) -> None:
        """Let the loop turn until there is nothing left to do."""
        self.turn_until(lambda: self.service._in_hand is None and self.service._pending is None)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.service.delivery.metrics.registry.get_sample_value(name, labels)


def test_a_consumer_begins_where_the_database_says() -> None:
    """Whatever its group has committed."""
    world = World(FakeSource([message(number) for number in range(6)]))
    world.writer.positions[TOPIC, 0] = 4
    world.until_stored(5, 6)
    assert world.writer.positions[TOPIC, 0] == 6
    assert world.source.committed == [{0: 6}]


def test_a_database_that_fell_behind_is_filled_again_with_the_next_batch() -> None:
    """As after a failover to a standby that lacked the last transactions."""
    world = World(FakeSource([message(number) for number in range(10)]))
    world.until_stored(*range(1, 11))
    for target in range(4, 11):
        del world.writer.rows[next(key for key in world.writer.rows if key[0] == target)]
    world.writer.positions[TOPIC, 0] = 3
    world.source.messages.append(message(10))
    world.until_stored(*range(1, 12))
    assert world.writer.positions[TOPIC, 0] == 11


def test_a_database_that_fell_behind_is_noticed_without_a_message() -> None:
    """A quiet consumer looks every ten seconds."""
    world = World(FakeSource([message(number) for number in range(5)]))
    world.until_stored(1, 2, 3, 4, 5)
    world.writer.rows.clear()
    world.writer.positions.clear()
    world.settle()
    assert world.writer.rows == {}
    world.clock.advance(LOOK_EVERY_S)
    with structlog.testing.capture_logs() as logs:
        world.until_stored(1, 2, 3, 4, 5)
    assert [(line["event"], line["messages"]) for line in logs] == [
        ("the database is behind what was stored: what it lacks is read again", 5)
    ]


def test_a_topic_that_is_made_anew_is_read_from_its_beginning() -> None:
    """It is noticed within ten seconds, and what was read of it under the old offsets is read again."""
    world = World(FakeSource([message(number) for number in range(3)]))
    world.until_stored(1, 2, 3)
    world.states.state = attrs.evolve(world.states.state, topic=attrs.evolve(TOPIC, id="second"))
    world.source._given = [message(number) for number in range(10, 14)]
    world.source.messages = [message(14)]
    world.clock.advance(LOOK_EVERY_S)
    world.until_stored(1, 2, 3, *range(11, 16))
    assert world.sample("consumer_gaps_total", reason="topic_replaced") == len(PARTITIONS)


def test_what_expired_while_no_consumer_ran_is_counted_and_told_once() -> None:
    """The consumer goes on with what is left."""
    world = World(FakeSource([message(7), message(8)]))
    world.writer.positions[TOPIC, 0] = 2
    world.states.state = attrs.evolve(world.states.state, begins={0: 7, 1: 0, 2: 0, 3: 0})
    with structlog.testing.capture_logs() as logs:
        world.until_stored(8, 9)
    told = [line for line in logs if line["log_level"] == "error"]
    assert [(line["reason"], line["first_offset"], line["next_offset"], line["messages"]) for line in told] == [
        ("expired", 2, 7, 5)
    ]
    assert world.sample("consumer_missing_messages_total") == 5


def test_messages_that_are_missing_in_between_are_counted_and_told_once() -> None:
    """As in a compacted topic, batch by batch."""
    world = World(FakeSource([message(number) for number in range(0, 40, 2)]))
    with structlog.testing.capture_logs() as logs:
        world.until_stored(*range(1, 41, 2))
    assert len([line for line in logs if line["log_level"] == "error"]) == 1
    assert world.sample("consumer_missing_messages_total") == 19


def test_a_partition_that_was_set_back_is_read_again() -> None:
    """Kafka lost its end: what has come in its place is stored."""
    world = World(FakeSource([message(number) for number in range(5)]))
    world.until_stored(1, 2, 3, 4, 5)
    world.source._given = []
    world.source.messages = [message(3), message(20, partition=0)]
    world.states.state = attrs.evolve(world.states.state, begins={0: 3, 1: 0, 2: 0, 3: 0})
    world.until_stored(1, 2, 3, 4, 5, 21)
    assert world.sample("consumer_gaps_total", reason="set_back") == 1
    assert world.writer.positions[TOPIC, 0] == 21


def test_poison_is_acknowledged_before_what_is_stored_is_noted() -> None:
    """Else a crash in between would lose it."""
    world = World(FakeSource([message(0), message(1, b"?"), message(2)]))
    world.dead.away = True
    world.turn_until(lambda: world.writer.stored == [1, 3])
    assert world.writer.positions[TOPIC, 0] == 0
    world.dead.away = False
    world.settle()
    assert [one.message.offset() for one in world.dead.sent] == [1]
    assert world.writer.positions[TOPIC, 0] == 3


def test_a_kafka_that_is_away_does_not_hold_up_what_is_read_already() -> None:
    """Only partitions that are not read yet wait for it."""
    world = World(FakeSource([message(0)]))
    world.until_stored(1)
    world.states.away = True
    world.clock.advance(LOOK_EVERY_S)
    world.source.messages.append(message(1))
    world.until_stored(1, 2)


def test_partitions_that_are_given_up_during_a_look_are_not_started() -> None:
    """Their next owner asks for itself."""
    world = World(FakeSource([message(0, partition=1), message(0, partition=2)]))
    world.service.run_once(0)
    world.service.drop({1})
    world.turn_until(lambda: bool(world.source.started))
    assert world.source.started == [{0: 0, 2: 0, 3: 0}]


@pytest.mark.parametrize("offsets", [[0, 1, 2], [0, 2, 5], [3]])
def test_a_batch_knows_what_it_covers(offsets: list[int]) -> None:
    """From where the last one ended up to its last message, with what is missing in between."""
    batch, end, missing = Batch(0.0, TOPIC, {0: 0}), offsets[-1] + 1, offsets[-1] + 1 - len(offsets)
    batch.add([message(offset) for offset in offsets])
    span = batch.spans[0]
    assert (span.begin, span.end, span.missing) == (0, end, missing)
    assert batch.read == {0: end}
    assert len(batch.progress.gaps) == (missing > 0)


def test_a_database_that_lacks_what_came_before_a_batch_stores_nothing_of_it() -> None:
    """A delivery says so instead of trying again."""
    writer = FakeWriter(positions={(TOPIC, 0): 3})
    made = Delivery(writer, FakeDeadLetters(), FakeTopicStates(), Health(), Metrics())
    batch = Batch(0.0, TOPIC, {0: 5})
    batch.add([message(5)])
    with pytest.raises(BehindError):
        made.deliver(batch)
    assert writer.stored == []
    assert (batch.spans, batch.progress.gaps) == ({0: Span(5, 6)}, list[Gap]())
