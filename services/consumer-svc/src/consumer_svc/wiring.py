"""The one place that builds the adapters and joins them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from consumer_svc import __version__
from consumer_svc.adapters.dead_letter_topic import DeadLetterTopic
from consumer_svc.adapters.dead_letters import KafkaDeadLetters
from consumer_svc.adapters.kafka_settings import CLIENT_ID
from consumer_svc.adapters.postgres import PostgresWriter
from consumer_svc.adapters.topic_writer import TopicWriter
from consumer_svc.delivery import Delivery
from consumer_svc.metrics import Metrics
from consumer_svc.service import ConsumerService
from monitoring_core.clock import SystemClock
from monitoring_runtime.endpoint import Endpoint
from monitoring_runtime.health import Health
from monitoring_runtime.kafka_source import KafkaSource
from monitoring_runtime.logs import configure_logging
from monitoring_runtime.memory import collect_garbage_seldom, keep_memory_together
from monitoring_runtime.stop import stop_on_signals
from monitoring_runtime.topic_states import KafkaTopicStates

if TYPE_CHECKING:
    from monitoring_core.config import Config

log = structlog.get_logger()


def run(config: Config) -> None:
    """Run a consumer until it is stopped."""
    configure_logging(config.logging, "consumer-svc")
    keep_memory_together()
    collect_garbage_seldom()
    service = build(config)
    with (
        stop_on_signals() as stop,
        Endpoint(config.metrics, service.delivery.metrics.registry, service.health) as endpoint,
    ):
        log.info(
            "starting",
            version=__version__,
            kafka=config.kafka.bootstrap_servers,
            topic=config.kafka.topic_name,
            group=config.consumer.group_id,
            postgresql=config.database.address,
            metrics_port=endpoint.port,
        )
        service.run(stop)


def build(config: Config) -> ConsumerService:
    """A consumer on Kafka and PostgreSQL."""
    health, metrics = Health(), Metrics()
    return ConsumerService(
        source=KafkaSource(config.kafka, config.consumer, metrics.lag, CLIENT_ID),
        delivery=Delivery(
            PostgresWriter(config.database),
            KafkaDeadLetters(config.kafka),
            KafkaTopicStates(config.kafka, CLIENT_ID),
            health,
            metrics,
            config.consumer.max_dead_letter_ratio,
        ),
        clock=SystemClock(),
        health=health,
        max_rows=config.consumer.batch_max_rows,
        max_age_s=config.consumer.batch_max_age.total_seconds(),
        shutdown_timeout_s=config.consumer.shutdown_timeout.total_seconds(),
    )


def dead_letter_topic(config: Config) -> DeadLetterTopic:
    """A reader of the dead-letter topic."""
    return DeadLetterTopic(config)


def topic_writer(config: Config) -> TopicWriter:
    """A writer into the topic of results."""
    return TopicWriter(config.kafka, config.kafka.topic_name)
