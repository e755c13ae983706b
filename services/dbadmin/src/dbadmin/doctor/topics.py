"""Kafka's topics: partitions, replicas, and the settings that may lose messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]  # its own names

from dbadmin.doctor.findings import Finding, failed, passed, warned
from dbadmin.install.topics import DEAD_LETTER_MESSAGE_BYTES
from monitoring_alerting.event import MAX_EVENT_BYTES
from monitoring_core.codec import MAX_MESSAGE_BYTES
from monitoring_runtime.commands import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.doctor.cluster import Cluster
    from monitoring_core.config import Config, KafkaConfig

CREATE_TOPICS = "run dbadmin create-topics"
_DAY_MS = 86_400_000
# Kafka's own size of a segment of a log: with a smaller limit, a partition may keep no more than its last messages.
_SEGMENT_BYTES = 1 << 30
_NUMBERS = ("retention.ms", "retention.bytes", "max.message.bytes", "min.insync.replicas")


def check_topic(topic: Any, config: Config, brokers: int) -> Iterator[Finding]:
    """A topic's partitions, their leaders and their replicas."""
    subject, count = f"topic {topic.topic}", len(topic.partitions)
    wanted = config.kafka.partitions if topic.topic == config.kafka.topic_name else 1
    if count < wanted:
        yield failed(subject, f"has {counted(count, 'partition')}, {wanted} are configured", CREATE_TOPICS)
    parts = topic.partitions.values()
    replicas = _replicas(topic)
    if headless := sum(part.leader < 0 for part in parts):
        yield failed(subject, f"{headless} of {count} partitions have no leader", "start the brokers that are away")
    elif behind := sum(len(part.isrs) < len(part.replicas) for part in parts):
        yield warned(subject, f"{behind} of {count} partitions lack a replica that is up to date", "see to the brokers")
    elif replicas < (factor := config.kafka.replication_factor or 0):
        yield warned(subject, f"replication {replicas}, {factor} is configured", "reassign its partitions in Kafka")
    elif replicas == 1 and brokers > 1:
        yield warned(subject, "has one replica: a broker that is lost takes results with it", "reassign its partitions")
    elif count >= wanted:
        yield passed(subject, f"{counted(count, 'partition')}, replication {replicas}")


def check_settings(cluster: Cluster, topic: Any) -> Iterator[Finding]:
    """A topic's retention, its largest message, how many replicas must have a message, and whether it is compacted."""
    name, subject = topic.topic, f"settings of topic {topic.topic}"
    entries = _settings(cluster, name)
    value = {key: int(text) for key, text in entries.items() if key in _NUMBERS}
    is_alerts = name == cluster.config.kafka.alert_topic_name
    largest = _largest(name, cluster.config.kafka)
    replicas, bad = _replicas(topic), []
    if (insync := value.get("min.insync.replicas", 1)) > replicas:
        text = f"min.insync.replicas {insync} is more than the {replicas} replicas: nothing is taken"
        bad.append(failed(subject, text, f"set min.insync.replicas to {max(1, replicas - 1)}"))
    if (size := value.get("max.message.bytes", largest)) < largest:
        bad.append(failed(subject, f"max.message.bytes {size} is less than {largest}", f"set it to {largest}"))
    policy, kept = entries.get("cleanup.policy", "delete"), value.get("retention.ms", -1)
    if is_alerts and policy != "compact":
        text = f"cleanup.policy {policy}: alerts that last longer than retention.ms are deleted"
        bad.append(failed(subject, text, "set it to compact"))
    if not is_alerts and 0 <= kept < _DAY_MS:
        text = f"retention.ms {kept}: what consumers have not stored by then is lost"
        bad.append(warned(subject, text, f"set it to {7 * _DAY_MS}"))
    kept_bytes = value.get("retention.bytes", -1)
    if not is_alerts and 0 <= kept_bytes < _SEGMENT_BYTES:
        text = f"retention.bytes {kept_bytes}: what consumers have not stored when a partition is larger is lost"
        bad.append(warned(subject, text, "set it to -1, retention.ms is enough"))
    if not is_alerts and "compact" in policy:
        text = f"cleanup.policy {policy}: of the messages with one key all but the newest are deleted, stored or not"
        bad.append(failed(subject, text, "set it to delete"))
    how_long = "the newest event of each alert" if is_alerts else f"retention {_days(kept)}"
    if not is_alerts and kept_bytes >= 0:
        how_long += f" or {kept_bytes} bytes a partition"
    yield from bad or [passed(subject, f"{how_long}, messages up to {size} bytes")]


def retention_ms(cluster: Cluster, name: str) -> int:
    """How long a topic keeps a message, in milliseconds; -1 without end."""
    return int(_settings(cluster, name).get("retention.ms", "-1"))


def _settings(cluster: Cluster, name: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, name)
    asked = cluster.admin.describe_configs([resource], request_timeout=cluster.timeout_s)
    entries = asked[resource].result(cluster.timeout_s)
    return {key: entry.value for key, entry in entries.items() if entry.value is not None}


def _largest(name: str, kafka: KafkaConfig) -> int:
    """The largest message of a topic, in bytes."""
    if name == kafka.topic_name:
        return MAX_MESSAGE_BYTES
    return MAX_EVENT_BYTES if name == kafka.alert_topic_name else DEAD_LETTER_MESSAGE_BYTES


def _replicas(topic: Any) -> int:
    return min(len(part.replicas) for part in topic.partitions.values())


def _days(milliseconds: int) -> str:
    return "without end" if milliseconds < 0 else f"{milliseconds / _DAY_MS:g} days"
