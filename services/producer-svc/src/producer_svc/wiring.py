"""The one place that builds the adapters and joins them."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from monitoring_core.clock import SystemClock
from monitoring_core.config.values import split_host_port
from monitoring_runtime.endpoint import Endpoint
from monitoring_runtime.health import Health
from monitoring_runtime.logs import configure_logging
from monitoring_runtime.memory import collect_garbage_seldom, keep_memory_together
from monitoring_runtime.stop import stop_on_signals
from producer_svc import __version__
from producer_svc.adapters.canaries import TcpCanaries
from producer_svc.adapters.kafka import KafkaSender
from producer_svc.adapters.leases import PostgresLeases
from producer_svc.adapters.postgres import ProducerConnection
from producer_svc.adapters.sqlite import SqliteStore
from producer_svc.adapters.target_table import PostgresTargetTable
from producer_svc.assignment import Assignment
from producer_svc.blame import Blame
from producer_svc.check import Origin
from producer_svc.checks.http.engines import chosen
from producer_svc.checks.kinds import build_engine
from producer_svc.claim import Claim
from producer_svc.clock_steps import ClockSteps
from producer_svc.metrics import Metrics
from producer_svc.outbox import Outbox
from producer_svc.overload import Overload
from producer_svc.schedule import Schedule
from producer_svc.service import ProducerService
from producer_svc.unaccounted import UnaccountedSlots
from producer_svc.waiting import WaitingChecks

if TYPE_CHECKING:
    from monitoring_core.clock import Clock
    from monitoring_core.config import Config, MonitorConfig
    from producer_svc.ports import Canaries

log = structlog.get_logger()


def run(config: Config, producer_id: int | None) -> int:
    """Run a producer until it is stopped; returns the number of lost results.

    Args:
        producer_id: the ID to hold; None for the lowest free one that is needed.
    """
    configure_logging(config.logging, "producer-svc")
    structlog.contextvars.bind_contextvars(producer_id=producer_id or "auto")
    keep_memory_together()
    collect_garbage_seldom()
    service = build(config, producer_id)
    with stop_on_signals() as stop, Endpoint(config.metrics, service.metrics.registry, service.health) as endpoint:
        log.info(
            "starting",
            version=__version__,
            kafka=config.kafka.bootstrap_servers,
            topic=config.kafka.topic_name,
            postgresql=config.database.address,
            location=config.monitor.location,
            engine=chosen(config.monitor.engine).value,
            metrics_port=endpoint.port,
        )
        return service.run(stop)


def build(config: Config, producer_id: int | None) -> ProducerService:
    """A producer with its real adapters.

    Raises:
        ConfigError: the engine that the configuration names is not installed.
    """
    clock, metrics, unaccounted, monitor = SystemClock(), Metrics(), UnaccountedSlots(), config.monitor
    return ProducerService(
        origin=Origin(producer_id or 0, monitor.location),
        assignment=_assignment(config, producer_id, clock),
        schedule=Schedule(clock),
        waiting=WaitingChecks(monitor.max_per_host, clock),
        overload=Overload(clock, monitor.max_concurrent_checks),
        clock_steps=ClockSteps(clock),
        engine=build_engine(monitor),
        blame=Blame(_canaries(monitor), clock),
        outbox=Outbox(
            SqliteStore(Path(monitor.outbox_directory)),
            KafkaSender(config.kafka),
            clock,
            metrics,
            monitor.outbox_max_size,
            unaccounted.remove,
        ),
        unaccounted=unaccounted,
        clock=clock,
        health=Health(),
        metrics=metrics,
        shutdown_timeout_s=monitor.shutdown_timeout.total_seconds(),
    )


def _assignment(config: Config, producer_id: int | None, clock: Clock) -> Assignment:
    monitor, connection = config.monitor, ProducerConnection(config.database)
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    return Assignment(
        PostgresTargetTable(connection),
        PostgresLeases(connection, monitor.location, holder, monitor.defaults),
        Claim(producer_id, monitor.websites_per_container, int(1000 * monitor.max_look_back.total_seconds())),
        monitor.defaults,
        monitor.lease_duration.total_seconds(),
        monitor.refresh_interval.total_seconds(),
        clock,
    )


def _canaries(monitor: MonitorConfig) -> Canaries | None:
    return TcpCanaries([split_host_port(text) for text in monitor.canaries]) if monitor.canaries else None
