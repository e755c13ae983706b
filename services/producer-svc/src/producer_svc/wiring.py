"""The one place that builds the adapters and joins them."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from monitoring_core.clock import SystemClock
from monitoring_core.config import ConfigError, EngineName, Fault
from monitoring_core.config.values import split_host_port
from monitoring_runtime.endpoint import Endpoint
from monitoring_runtime.health import Health
from monitoring_runtime.logs import configure_logging
from monitoring_runtime.memory import collect_garbage_seldom, keep_memory_together
from monitoring_runtime.stop import stop_on_signals
from producer_svc import __version__
from producer_svc.adapters.canaries import TcpCanaries
from producer_svc.adapters.kafka import KafkaSender
from producer_svc.adapters.postgres import PostgresRegistry
from producer_svc.adapters.sqlite import SqliteStore
from producer_svc.assignment import Assignment, Claim
from producer_svc.blame import Blame
from producer_svc.check import Origin
from producer_svc.clock_steps import ClockSteps
from producer_svc.metrics import Metrics
from producer_svc.outbox import Outbox
from producer_svc.overload import Overload
from producer_svc.schedule import Schedule
from producer_svc.service import ProducerService
from producer_svc.waiting import WaitingChecks

if TYPE_CHECKING:
    from monitoring_core.config import Config, MonitorConfig
    from producer_svc.ports import Engine

log = structlog.get_logger()


def run(config: Config, producer_id: int | None) -> int:
    """Run a producer until it is stopped; the number of results that are lost.

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
            metrics_port=endpoint.port,
        )
        return service.run(stop)


def build(config: Config, producer_id: int | None) -> ProducerService:
    """A producer on real parts."""
    clock, metrics = SystemClock(), Metrics()
    monitor = config.monitor
    origin = Origin(producer_id or 0, monitor.location)
    assignment = Assignment(
        PostgresRegistry(
            config.database, monitor.location, f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        ),
        Claim(producer_id, monitor.websites_per_container, int(1000 * monitor.max_look_back.total_seconds())),
        monitor.defaults,
        monitor.lease_duration.total_seconds(),
        monitor.refresh_interval.total_seconds(),
        clock,
    )
    return ProducerService(
        origin=origin,
        assignment=assignment,
        schedule=Schedule(clock),
        waiting=WaitingChecks(monitor.max_per_host),
        overload=Overload(clock, monitor.max_concurrent_checks),
        clock_steps=ClockSteps(clock),
        engine=build_engine(monitor, origin),
        blame=Blame(
            TcpCanaries([split_host_port(text) for text in monitor.canaries]) if monitor.canaries else None, clock
        ),
        outbox=Outbox(
            SqliteStore(Path(monitor.outbox_directory)),
            KafkaSender(config.kafka),
            clock,
            metrics,
            monitor.outbox_max_size,
        ),
        clock=clock,
        health=Health(),
        metrics=metrics,
        shutdown_timeout_s=monitor.shutdown_timeout.total_seconds(),
    )


def build_engine(monitor: MonitorConfig, origin: Origin) -> Engine:
    """The engine that the configuration names.

    Raises:
        ConfigError: it is not installed.
    """
    if monitor.engine is EngineName.REQUESTS:
        from producer_svc.adapters.requests_engine import RequestsEngine

        return RequestsEngine(monitor, origin)
    try:
        from producer_svc.adapters.curl_engine import CurlEngine
    except ImportError as error:
        message = f"curl needs pip install 'producer-svc[curl]' ({error})"
        raise ConfigError([Fault("this installation", "monitor.engine", message)]) from None
    return CurlEngine(monitor, origin)
