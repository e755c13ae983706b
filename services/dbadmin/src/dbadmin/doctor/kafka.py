"""Kafka: whether it can be reached, its topics, its consumers and its clock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from dbadmin.doctor.cluster import Cluster, plain
from dbadmin.doctor.consumers import check_alert_lag, check_lag
from dbadmin.doctor.dead_letters import check_dead_letters
from dbadmin.doctor.expiry import check_expiry
from dbadmin.doctor.findings import Finding, failed, passed, warned
from dbadmin.doctor.kafka_clock import check_clock
from dbadmin.doctor.topics import CREATE_TOPICS, check_settings, check_topic
from monitoring_runtime.commands import counted
from monitoring_runtime.kafka import SILENT, where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitoring_core.clock import Clock
    from monitoring_core.config import Config

# The timeout of each request to Kafka.
TIMEOUT_S = 10.0


def check_kafka(config: Config, clock: Clock) -> Iterator[Finding]:
    """All findings about Kafka; a single one when it cannot be reached."""
    heard: list[str] = []
    properties: dict[str, Any] = dict(config.kafka.client_properties())
    properties |= {"socket.connection.setup.timeout.ms": 5000, "error_cb": lambda error: heard.append(error.str())}
    admin = AdminClient(properties, logger=SILENT)
    try:
        metadata = admin.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        while admin.poll(0.2):  # calls error_cb
            pass
        yield failed(where(config.kafka), _reason(heard, error), _mend(heard))
        return
    yield passed(where(config.kafka), counted(len(metadata.brokers), "broker"))
    cluster = Cluster(config, admin, properties, TIMEOUT_S)
    for name in (config.kafka.topic_name, config.kafka.dead_letter_topic, config.kafka.alert_topic_name):
        topic = metadata.topics.get(name)
        if topic is None:
            yield failed(f"topic {name}", "is missing", CREATE_TOPICS)
            continue
        yield from check_topic(topic, config, len(metadata.brokers))
        yield from _if_allowed(f"settings of topic {name}", partial(check_settings, cluster, topic))
    if topic := metadata.topics.get(config.kafka.topic_name):
        group = f"group {config.consumer.group_id}"
        yield from _if_allowed(group, partial(check_lag, cluster, len(topic.partitions)))
        yield from _if_allowed(group, partial(check_expiry, cluster, len(topic.partitions)))
        group = f"group {config.consumer.alert_group_id}"
        yield from _if_allowed(group, partial(check_alert_lag, cluster, len(topic.partitions)))
    if topic := metadata.topics.get(config.kafka.dead_letter_topic):
        yield from _if_allowed("dead letters", partial(check_dead_letters, cluster, len(topic.partitions)))
    yield from _if_allowed("clock of Kafka", partial(check_clock, cluster, clock))


def _if_allowed(subject: str, examine: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of an examination; a single warning when Kafka does not allow it for this account."""
    try:
        yield from examine()
    except (KafkaException, TimeoutError) as error:
        text = plain(error.args[0]) if error.args else "no answer in time"
        yield warned(subject, f"cannot be told: {text}", "allow this account to describe it, or look at it by hand")


def _reason(heard: list[str], error: KafkaException) -> str:
    """The most telling error that the client reported: a failure of TLS or of a login before one to connect."""
    texts = [text for text in heard if _is_telling(text)] or heard or [plain(error.args[0])]
    return " ".join(texts[-1].rpartition(": ssl://")[2].split())[:300] if texts else "cannot be reached"


def _is_telling(text: str) -> bool:
    return any(word in text for word in ("SSL", "certificate", "Authentication", "authentication"))


def _mend(heard: list[str]) -> str:
    texts = " ".join(heard)
    if "verify" in texts and "certificate" in texts:
        return "give kafka.ca_certificate the authority of these brokers"
    if "certificate" in texts or "SSL" in texts:
        return "give kafka.access_certificate and access_key a pair that these brokers know"
    if "uthentication" in texts:
        return "correct kafka.sasl_username and sasl_password"
    return "see that it runs, that kafka.bootstrap_servers is right, and that nothing between blocks it"
