"""Kafka: whether it can be reached, its topics, and how far consumers are behind."""

from __future__ import annotations

import secrets
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its own names
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from dbadmin.doctor.clocks import judge
from dbadmin.doctor.findings import Finding, failed, passed, warned
from dbadmin.install.topics import DEAD_LETTER_MESSAGE_BYTES, silent
from monitoring_core.codec import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitoring_core.clock import Clock
    from monitoring_core.config import Config

TIMEOUT_S = 10.0
_DAY_MS = 86_400_000
_CREATE = "run dbadmin create-topics"
# Of what may lie there without anybody being behind.
_LAG = 10_000
# What a group's coordinator says while it begins its work.
_SOON = (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR)


def check_kafka(config: Config, clock: Clock) -> Iterator[Finding]:
    """Everything about Kafka; no more than one line when it cannot be reached."""
    heard: list[str] = []
    properties: dict[str, Any] = dict(config.kafka.client_properties())
    properties |= {"socket.connection.setup.timeout.ms": 5000, "error_cb": lambda error: heard.append(error.str())}
    admin = AdminClient(properties, logger=silent)
    where = f"Kafka at {config.kafka.bootstrap_servers}"
    try:
        cluster = admin.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        while admin.poll(0.2):  # what the client heard is told here
            pass
        yield failed(where, _reason(heard, error), _mend(heard))
        return
    yield passed(where, f"{len(cluster.brokers)} brokers")
    brokers = len(cluster.brokers)
    for name in (config.kafka.topic_name, config.kafka.dead_letter_topic):
        topic = cluster.topics.get(name)
        if topic is None:
            yield failed(f"topic {name}", "is missing", _CREATE)
            continue
        yield from check_topic(topic, config, brokers)
        yield from _told(f"settings of topic {name}", partial(check_settings, admin, config, name, topic))
    if topic := cluster.topics.get(config.kafka.topic_name):
        yield from _told(f"group {config.consumer.group_id}", partial(check_lag, admin, config, len(topic.partitions)))
    yield from _told("clock of Kafka", partial(check_clock, admin, properties, config, clock))


def check_topic(topic: Any, config: Config, brokers: int) -> Iterator[Finding]:
    """Partitions, their leaders and their replicas."""
    subject, count = f"topic {topic.topic}", len(topic.partitions)
    wanted = config.kafka.partitions if topic.topic == config.kafka.topic_name else 1
    if count < wanted:
        yield failed(subject, f"has {count} partitions, {wanted} are configured", _CREATE)
    parts = topic.partitions.values()
    replicas = min(len(part.replicas) for part in parts)
    if headless := sum(part.leader < 0 for part in parts):
        yield failed(subject, f"{headless} of {count} partitions have no leader", "start the brokers that are away")
    elif behind := sum(len(part.isrs) < len(part.replicas) for part in parts):
        yield warned(subject, f"{behind} of {count} partitions lack a replica that is up to date", "see to the brokers")
    elif replicas < (factor := config.kafka.replication_factor or 0):
        yield warned(subject, f"replication {replicas}, {factor} is configured", "reassign its partitions in Kafka")
    elif replicas == 1 and brokers > 1:
        yield warned(subject, "has one replica: a broker that is lost takes results with it", "reassign its partitions")
    elif count >= wanted:
        yield passed(subject, f"{count} partitions, replication {replicas}")


def check_settings(admin: AdminClient, config: Config, name: str, topic: Any) -> Iterator[Finding]:
    """Retention, largest message, and how many replicas must have a message."""
    resource = ConfigResource(ResourceType.TOPIC, name)
    settings = admin.describe_configs([resource], request_timeout=TIMEOUT_S)[resource].result(TIMEOUT_S)
    subject = f"settings of topic {name}"
    value = {key: int(entry.value) for key, entry in settings.items() if key in _NUMBERS and entry.value is not None}
    replicas = min(len(part.replicas) for part in topic.partitions.values())
    largest = MAX_MESSAGE_BYTES if name == config.kafka.topic_name else DEAD_LETTER_MESSAGE_BYTES
    bad = []
    if value.get("min.insync.replicas", 1) > replicas:
        text = (
            f"min.insync.replicas {value['min.insync.replicas']} is more than the {replicas} replicas: nothing is taken"
        )
        bad.append(failed(subject, text, f"set min.insync.replicas to {max(1, replicas - 1)}"))
    if (size := value.get("max.message.bytes", largest)) < largest:
        bad.append(failed(subject, f"max.message.bytes {size} is less than {largest}", f"set it to {largest}"))
    if 0 <= (kept := value.get("retention.ms", -1)) < _DAY_MS:
        text = f"retention.ms {kept}: what consumers have not stored by then is lost"
        bad.append(warned(subject, text, f"set it to {7 * _DAY_MS}"))
    yield from bad or [
        passed(subject, f"retention {_days(value.get('retention.ms', -1))}, messages up to {size} bytes")
    ]


_NUMBERS = ("retention.ms", "max.message.bytes", "min.insync.replicas")


def check_lag(admin: AdminClient, config: Config, partitions: int) -> Iterator[Finding]:
    """Who consumes, and how many messages wait for it."""
    group, topic = config.consumer.group_id, config.kafka.topic_name
    members = _members(admin, group)
    asked = [ConsumerGroupTopicPartitions(group)]
    found = admin.list_consumer_group_offsets(asked, request_timeout=TIMEOUT_S)[group].result(TIMEOUT_S)
    committed = {p.partition: p.offset for p in found.topic_partitions if p.topic == topic and p.offset >= 0}
    ends, begins = (_offsets(admin, topic, partitions, spec) for spec in (OffsetSpec.latest(), OffsetSpec.earliest()))
    lags = {number: ends[number] - max(committed.get(number, 0), begins[number]) for number in ends}
    total, most = sum(lags.values()), max(lags, key=lambda number: lags[number])
    text = f"{total} messages wait" + (f", {lags[most]} of them in partition {most}" if total else "")
    subject = f"group {group}"
    if not members:
        yield warned(subject, f"no consumer runs, {text}", "start consumer-svc run")
    elif total > _LAG:
        yield warned(subject, f"{text} for {members} consumers", "start more consumers, up to one a partition")
    else:
        yield passed(subject, f"{members} consumers, {text}")


def _members(admin: AdminClient, group: str) -> int:
    until = time.monotonic() + TIMEOUT_S
    while True:
        try:
            described = admin.describe_consumer_groups([group], request_timeout=TIMEOUT_S)[group]
            return len(described.result(TIMEOUT_S).members)
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.GROUP_ID_NOT_FOUND:  # nobody has consumed yet
                return 0
            if code not in _SOON or time.monotonic() > until:
                raise
        time.sleep(0.1)


def _offsets(admin: AdminClient, topic: str, partitions: int, spec: OffsetSpec) -> dict[int, int]:
    asked = {TopicPartition(topic, number): spec for number in range(partitions)}
    found = admin.list_offsets(asked, request_timeout=TIMEOUT_S)
    return {part.partition: future.result(TIMEOUT_S).offset for part, future in found.items()}


def check_clock(admin: AdminClient, properties: dict[str, Any], config: Config, clock: Clock) -> Iterator[Finding]:
    """Nothing tells the broker's clock but the time that it gives to a message: in a topic made and deleted for it."""
    name, subject = f"{config.kafka.topic_name}.doctor-{secrets.token_hex(4)}", "clock of Kafka"
    made = NewTopic(name, 1, -1, config={"message.timestamp.type": "LogAppendTime", "retention.ms": "60000"})
    admin.create_topics([made], request_timeout=TIMEOUT_S)[name].result(TIMEOUT_S)
    try:
        producer = Producer(properties | {"message.timeout.ms": 8000, "linger.ms": 0}, logger=silent)
        _stamp(producer, name, clock)  # what the client must learn first takes its time
        kind, there_ms, before, after = _stamp(producer, name, clock)
    finally:
        admin.delete_topics([name], request_timeout=TIMEOUT_S)[name].result(TIMEOUT_S)
    if kind != TIMESTAMP_LOG_APPEND_TIME:
        yield warned(subject, "this broker does not tell it", "see that a time service (NTP) sets it")
    else:
        yield judge(subject, (there_ms - (before + after) / 2) / 1000, (after - before) / 2000)


def _stamp(producer: Producer, topic: str, clock: Clock) -> tuple[int, int, int, int]:
    """The kind of a message's time, that time, and the moments before and after, in milliseconds."""
    done, said = threading.Event(), []

    def delivered(error: Any, message: Any) -> None:
        said.append((error, message))
        done.set()

    before = clock.now_ms()
    producer.produce(topic, b"what time is it?", on_delivery=delivered)
    end = time.monotonic() + TIMEOUT_S
    while not done.is_set() and time.monotonic() < end:
        producer.poll(0.1)
    after = clock.now_ms()
    if not said or said[0][0]:
        raise KafkaException(said[0][0] if said else "a message was not taken in time")
    kind, there_ms = said[0][1].timestamp()
    return kind, there_ms, before, after


def _told(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a look finds, or that Kafka does not let this account look."""
    try:
        yield from look()
    except (KafkaException, TimeoutError) as error:
        text = _plain(error.args[0]) if error.args else "no answer in time"
        yield warned(subject, f"cannot be told: {text}", "allow this account to describe it, or look at it by hand")


def _reason(heard: list[str], error: KafkaException) -> str:
    """The most telling of what the client heard: why TLS or a login failed, before who did not answer."""
    said = [text for text in heard if _is_telling(text)] or heard or [_plain(error.args[0])]
    return " ".join(said[-1].rpartition(": ssl://")[2].split())[:300] if said else "cannot be reached"


def _is_telling(text: str) -> bool:
    return any(word in text for word in ("SSL", "certificate", "Authentication", "authentication"))


def _mend(heard: list[str]) -> str:
    said = " ".join(heard)
    if "verify" in said and "certificate" in said:
        return "give kafka.ca_certificate the authority of these brokers"
    if "certificate" in said or "SSL" in said:
        return "give kafka.access_certificate and access_key a pair that these brokers know"
    if "uthentication" in said:
        return "correct kafka.sasl_username and sasl_password"
    return "see that it runs, that kafka.bootstrap_servers is right, and that nothing between blocks it"


def _plain(error: Any) -> str:
    if isinstance(error, KafkaError):
        error = f"{error.str()} ({error.name()})"
    return " ".join(str(error).split())[:200]


def _days(milliseconds: int) -> str:
    return "without end" if milliseconds < 0 else f"{milliseconds / _DAY_MS:g} days"
