"""The loop: what it decides and stores while things around it come and go."""

from __future__ import annotations

import attrs

from alert_svc.known import Known
from alert_svc.metrics import Metrics
from alert_svc.partition import partition_of
from alert_svc.service import TICK_EVERY_S, AlertService
from monitoring_alerting.policies import DownPolicy, Kind, Policies
from monitoring_alerting.testing.scenes import MINUTE_MS, START, result, target
from monitoring_core.clock import to_ms
from monitoring_core.codec import encode, encode_key
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.health import Health
from monitoring_runtime.stop import Stop
from monitoring_runtime.topics import Received
from monitoring_testkit.alerts.fakes import TOPIC, FakePolicies, FakeStore, FakeTargets, FakeTopic
from monitoring_testkit.consumer.messages import FakeMessage

POLICIES = Policies((DownPolicy(name="down", kind=Kind.DOWN),))
COUNT = 2


def send(place: list[Received], partition: int, key: bytes, value: bytes) -> None:
    """Put a message at the end of a partition."""
    place.append(FakeMessage(partition=partition, offset=len(place), key=key, value=value))


@attrs.define
class World:
    """A service between fakes; its targets are 1 to 8."""

    topic: FakeTopic = attrs.field(factory=lambda: FakeTopic({number: [] for number in range(COUNT)}))
    store: FakeStore = attrs.field(factory=FakeStore)
    policies: FakePolicies = attrs.field(factory=lambda: FakePolicies(POLICIES))
    targets: FakeTargets = attrs.field(factory=lambda: FakeTargets([target(number) for number in range(1, 9)]))
    clock: FakeClock = attrs.field(factory=lambda: FakeClock(to_ms(START)))
    health: Health = attrs.field(factory=Health)

    def service(self) -> AlertService:
        """A service that has joined the group."""
        service = AlertService(
            self.topic,
            self.store,
            Known(self.topic, self.targets, self.policies),
            self.clock,
            self.health,
            Metrics(),
            refresh_s=15.0,
        )
        self.topic.subscribe(service.assign, service.revoke)
        return service

    def publish(self, minute: int, sign: str, *targets: int) -> None:
        """Publish a result of each of these targets, by default of all."""
        for number in targets or range(1, 9):
            one = result(minute, "berlin", sign, number)
            place = self.topic.messages[partition_of(number, COUNT)]
            send(place, partition_of(number, COUNT), encode_key(one), encode(one))

    def turn(self, service: AlertService, times: int = 3, seconds: float = 0.4) -> None:
        """Let the loop turn."""
        for _ in range(times):
            self.clock.advance(seconds)
            service.run_once(0)

    def states(self) -> list[str]:
        """What was stored about target 1."""
        return [str(one.state) for one in self.store.told.values() if one.target_id == 1]


def test_transitions_are_stored_at_once_and_positions_soon() -> None:
    """Each with its target's URL."""
    world = World()
    service = world.service()
    world.turn(service)
    for minute, sign in enumerate("uddd"):
        world.publish(minute, sign)
    world.turn(service)
    assert world.states() == ["suspected", "firing"]
    assert {one.url for one in world.store.told.values() if one.target_id == 1} == {"https://1.example.org/"}
    world.turn(service, 5)
    ends = {number: len(messages) for number, messages in world.topic.messages.items()}
    assert {number: row.next_offset for number, row in world.store.rows.items()} == ends == world.topic.committed


def test_while_the_database_is_away_nothing_is_received_and_nothing_is_lost() -> None:
    """Whoever asks is told why."""
    world = World()
    service = world.service()
    world.turn(service)
    assert world.health.readiness() == (True, "ok")
    world.store.away = True
    for minute, sign in enumerate("uddd"):
        world.publish(minute, sign)
    world.turn(service, 6)
    assert world.health.readiness() == (False, "the database is away")
    assert world.states() == []
    world.store.away = False
    world.turn(service, 40)
    assert world.health.readiness() == (True, "ok")
    assert world.states() == ["suspected", "firing"]


def test_it_waits_for_a_database_that_is_away_at_its_start() -> None:
    """And begins when it is there."""
    world = World()
    world.store.away = True
    service = world.service()
    world.turn(service, 5)
    assert service.partitions == {}
    world.store.away = False
    world.turn(service, 40)
    assert sorted(service.partitions) == [0, 1]


def test_blindness_is_told_when_nothing_arrives_at_all() -> None:
    """The clock of the database moves the clock of the decisions on, once Kafka says that there is nothing to read."""
    world = World()
    service = world.service()
    world.publish(0, "u")
    world.turn(service)
    world.store.time = to_ms(START) + 9 * MINUTE_MS
    world.turn(service, 2, TICK_EVERY_S)
    assert world.states() == []
    world.store.time = to_ms(START) + 17 * MINUTE_MS
    world.turn(service, 2, TICK_EVERY_S)
    assert world.states() == ["undetermined"]


def test_while_kafka_is_away_nobody_is_called_blind() -> None:
    """What was not read may be there. That Kafka is away is told as what it is."""
    world = World()
    service = world.service()
    world.publish(0, "u")
    world.turn(service)
    world.topic.away = True
    world.store.time = to_ms(START) + 60 * MINUTE_MS
    world.turn(service, 12, TICK_EVERY_S)
    assert world.states() == []
    assert world.health.readiness() == (False, "Kafka is away")


def test_a_service_that_may_not_read_is_not_ready() -> None:
    """It has its partitions, and nothing arrives."""
    world = World()
    service = world.service()
    world.turn(service)
    world.topic.outage = "Kafka at k:1: Broker: Topic authorization failed"
    world.turn(service)
    assert world.health.readiness() == (False, "Kafka at k:1: Broker: Topic authorization failed")


def test_moves_of_the_clock_are_made_again_after_a_kill() -> None:
    """What was told of them is not told a second time, and results that come late are as late as before."""
    world = World()
    killed = world.service()
    world.publish(0, "u")
    world.turn(killed)
    for minutes in (5, 20):
        world.store.time = to_ms(START) + minutes * MINUTE_MS
        world.turn(killed, 2, TICK_EVERY_S)
    told = dict(world.store.told)
    assert told
    service = world.service()
    world.turn(service, 4)
    world.publish(1, "d")
    world.publish(2, "d")
    world.publish(3, "d")
    world.turn(service, 4)
    assert world.store.told == told


def test_a_process_that_has_lost_its_partition_decides_it_no_more() -> None:
    """Until Kafka gives it back, when it takes over what the other one stored."""
    world = World()
    first = world.service()
    world.publish(0, "u")
    world.turn(first)
    other = World(topic=FakeTopic(world.topic.messages), store=world.store, clock=world.clock)
    second = other.service()
    other.turn(second)
    world.publish(1, "d")
    other.turn(second)
    world.turn(first)
    for minute in (2, 3):
        world.publish(minute, "d")
    other.turn(second)
    assert world.states() == ["suspected", "firing"]
    assert len({one.id for one in world.store.told.values()}) == len(world.store.told)


def test_targets_and_policies_that_change_hold_within_the_refresh() -> None:
    """A target that is deleted ends its alert; one that is new is watched."""
    world = World()
    service = world.service()
    for minute, sign in enumerate("uddd"):
        world.publish(minute, sign)
    world.turn(service)
    world.targets.rows = [target(number) for number in range(2, 10)]
    world.targets.number += 1
    world.turn(service, 3, 15.0)
    assert world.states() == ["suspected", "firing", "resolved"]
    world.policies.policies = Policies((DownPolicy(name="other", kind=Kind.DOWN),))
    world.policies.news = True
    world.turn(service, 3, 15.0)
    causes = {one.cause for one in world.store.told.values() if one.target_id == 2 and one.state == "resolved"}
    assert causes == {"the policy no longer holds for the target"}


def test_a_change_that_meets_an_outage_is_made_after_it() -> None:
    """Nothing forgets that targets have changed."""
    world = World()
    service = world.service()
    for minute, sign in enumerate("uddd"):
        world.publish(minute, sign)
    world.turn(service)
    world.targets.rows, world.targets.number, world.targets.fails = [], 2, 1
    world.turn(service, 3, 15.0)
    assert world.states() == ["suspected", "firing", "resolved"]


def test_messages_that_are_no_results_are_passed_over() -> None:
    """The others are decided, and all are counted."""
    world = World()
    service = world.service()
    number = partition_of(1, COUNT)
    for minute, sign in enumerate("uddd"):
        place = world.topic.messages[number]
        send(place, number, b"1", b"nonsense")
        world.publish(minute, sign, 1)
        wrong = result(minute, "berlin", "u")
        send(place, number, b"2", encode(wrong))
    world.turn(service)
    assert world.states() == ["suspected", "firing"]
    sample = service.metrics.registry.get_sample_value
    assert sample("alert_results_total", {"outcome": "bad"}) == 8
    assert sample("alert_results_total", {"outcome": "taken"}) == 4


def test_results_in_another_partition_than_expected_are_told() -> None:
    """They do not count, because the results of a target must all be in one."""
    world = World()
    service = world.service()
    wrong = 1 - partition_of(1, COUNT)
    one = result(0, "berlin", "d")
    world.turn(service)
    send(world.topic.messages[wrong], wrong, encode_key(one), encode(one))
    world.turn(service)
    assert service.metrics.registry.get_sample_value("alert_results_total", {"outcome": "misplaced"}) == 1


def test_a_topic_that_is_made_anew_is_read_from_its_beginning() -> None:
    """Without a restart."""
    world = World()
    service = world.service()
    for minute, sign in enumerate("uddd"):
        world.publish(minute, sign)
    world.turn(service)
    for messages in world.topic.messages.values():
        messages.clear()
    world.topic.topic = attrs.evolve(TOPIC, id="second")
    world.turn(service, 3, 15.0)
    for minute, sign in enumerate("uuu", start=4):
        world.publish(minute, sign)
    world.turn(service)
    assert world.states() == ["suspected", "firing", "recovering", "resolved"]


def test_a_stop_stores_what_was_decided() -> None:
    """With a snapshot: whoever comes next reads nothing again."""
    world = World()
    service = world.service()
    world.publish(0, "u")
    world.turn(service, 2, 0.1)
    stop = Stop()
    stop.request()
    service.run(stop)
    assert world.topic.closed
    for number, row in world.store.rows.items():
        assert row.next_offset == row.snapshot_offset == len(world.topic.messages[number])


def minutes_behind(world: World, service: AlertService) -> float:
    """How far what is decided lies behind the clock of the machine."""
    return (world.clock.now_ms() - service.progress.decided_until) / MINUTE_MS


def test_how_far_results_are_decided_is_known_whatever_keeps_them() -> None:
    """Kafka that is away and partitions that are not given back show, and end."""
    world = World()
    service = world.service()
    world.store.time = world.clock.now_ms()
    world.turn(service, 3, TICK_EVERY_S)
    assert minutes_behind(world, service) < 1
    world.topic.away = True
    world.turn(service, 10, 60)
    assert minutes_behind(world, service) > 9
    world.topic.away = False
    world.store.time = world.clock.now_ms()
    world.turn(service, 3, TICK_EVERY_S)
    assert minutes_behind(world, service) < 1
    world.topic.take_away([0, 1])
    world.turn(service, 10, 60)
    assert minutes_behind(world, service) > 9
    world.topic.give([0, 1])
    world.store.time = world.clock.now_ms()
    world.turn(service, 4, TICK_EVERY_S)
    assert minutes_behind(world, service) < 1
