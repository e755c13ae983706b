"""The one place that builds the adapters and joins them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import attrs
import structlog

from alert_svc import __version__
from alert_svc.adapters.alerts import PostgresAlerts
from alert_svc.adapters.history import PostgresHistory
from alert_svc.adapters.postgres import PostgresStore
from alert_svc.alongside import alongside
from alert_svc.events.metrics import Metrics as EventMetrics
from alert_svc.events.publisher import build as build_publisher
from alert_svc.known import Known
from alert_svc.metrics import Metrics
from alert_svc.notify.alerts_file import AlertsFile
from alert_svc.notify.metrics import Metrics as NotificationMetrics
from alert_svc.notify.notifier import build
from alert_svc.service import AlertService
from monitoring_core.clock import SystemClock
from monitoring_runtime.endpoint import Endpoint
from monitoring_runtime.health import Health
from monitoring_runtime.kafka_source import KafkaSource
from monitoring_runtime.logs import configure_logging
from monitoring_runtime.memory import collect_garbage_seldom, keep_memory_together
from monitoring_runtime.stop import stop_on_signals
from monitoring_runtime.topic_states import KafkaTopicStates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from alert_svc.backtest.ports import History
    from monitoring_core.config import Config

log = structlog.get_logger()

CLIENT_ID = "alert-svc"


def run(config: Config, policies: Path, group: str | None) -> None:
    """Decide, send notifications and publish events, until it is stopped.

    Args:
        group: the consumer group in Kafka; that of the consumers with `-alerts`, where it is not given.

    Raises:
        ConfigError: the policies or the channels cannot be used.
        StopError: what a channel needs is not installed.
    """
    file = AlertsFile(policies)
    configure_logging(config.logging, CLIENT_ID)
    keep_memory_together()
    collect_garbage_seldom()
    consumer = attrs.evolve(config.consumer, group_id=group or config.consumer.alert_group_id)
    health, metrics = Health(), Metrics()
    store = PostgresStore(config.database, round(config.monitor.check_interval.total_seconds()))
    service = AlertService(
        source=KafkaSource(config.kafka, consumer, metrics.lag, CLIENT_ID),
        store=store,
        known=Known(KafkaTopicStates(config.kafka, CLIENT_ID), store, file),
        clock=SystemClock(),
        health=health,
        metrics=metrics,
        refresh_s=config.monitor.refresh_interval.total_seconds(),
    )
    notifier = build(config.database, file.notifications, NotificationMetrics(metrics.registry), service.progress)
    file.follow(notifier.use)
    publisher = build_publisher(config, CLIENT_ID, uuid4().hex, EventMetrics(metrics.registry))
    with stop_on_signals() as stop, Endpoint(config.metrics, metrics.registry, health) as endpoint:
        log.info(
            "starting",
            version=__version__,
            kafka=config.kafka.bootstrap_servers,
            topic=config.kafka.topic_name,
            alert_topic=config.kafka.alert_topic_name,
            group=consumer.group_id,
            postgresql=config.database.address,
            policies=[policy.name for policy in file.policies.all],
            channels=[channel.name for channel in file.notifications.channels],
            metrics_port=endpoint.port,
        )
        with alongside("notifier", notifier.run, stop), alongside("publisher", publisher.run, stop):
            service.run(stop)
        log.info("stopped")


def alerts(config: Config) -> PostgresAlerts:
    """The alerts in the database."""
    return PostgresAlerts(config.database)


def history(config: Config) -> Callable[[], History]:
    """Opens what is stored of results and alerts; other processes may call it, too."""
    return partial(PostgresHistory, config.database, round(config.monitor.check_interval.total_seconds()))
