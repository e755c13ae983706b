"""What an installation needs, computed from its targets and from what each check, row and message costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from monitoring_core.assignment import producers_needed
from monitoring_core.config import EngineName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitoring_core.config import Config

MONTH_S = 30 * 86_400
# The share of a processor, and of a consumer's highest rate, that a plan uses.
_HEADROOM = 0.5
# Connections of dbadmin: maintain, doctor and a person.
_DBADMIN_CONNECTIONS = 3
# Of one alert-svc: what is decided, notifications, and events.
_ALERT_CONNECTIONS = 3
# Of one status-svc beside status.pool_size, where status.writes is true.
_WRITER_CONNECTIONS = 2


@attrs.frozen(kw_only=True)
class Costs:
    """What checks, rows and messages cost: by default the medians of tests-e2e/benchmarks/README.md.

    Attributes:
        check_us: processor time of a producer for one check over HTTPS, in microseconds; see `check_us`.
        row_us: processor time of a consumer for one row, in microseconds.
        row_database_us: processor time of PostgreSQL for one row, in microseconds.
        consumer_rows: the largest number of rows that one consumer stores in a second.
        row_bytes: disk of PostgreSQL for one result, with its part of the indexes.
        message_bytes: disk of Kafka for one result, on one broker.
        response_time_s: how long a check lasts.
    """

    check_us: float
    row_us: float = 7.1
    row_database_us: float = 3.7
    consumer_rows: float = 112_000
    row_bytes: float = 200
    message_bytes: float = 420
    response_time_s: float = 0.5


# Microseconds over HTTPS. Native: a whole process at 400 checks a second. Requests: the engine's part, and 21 more.
CHECK_US = {EngineName.AUTO: 475.0, EngineName.NATIVE: 475.0, EngineName.REQUESTS: 2151.0}


def check_us(engine: EngineName) -> float:
    """Processor time of a producer for one check, in microseconds; for an engine without a figure the largest."""
    return CHECK_US.get(engine, max(CHECK_US.values()))


@attrs.frozen
class Load:
    """A number of targets that are all checked once in `interval_s`."""

    targets: int
    interval_s: float


@attrs.frozen
class Need:
    """One line of a plan.

    Attributes:
        need: how much is needed.
        have: how much is there or is configured; None when that is unknown or unlimited.
        advice: what to do when it is not enough.
        because: how the need was computed.
    """

    what: str
    need: float
    unit: str = ""
    have: float | None = None
    advice: str = ""
    because: str = ""


@attrs.frozen(kw_only=True)
class Circumstances:
    """What is known of the servers.

    Attributes:
        max_connections: the number that PostgreSQL allows to users that are not superusers; None when it was not asked.
        partitions: of the topic of results as it is; None when that is not known.
        replication: how many brokers keep each message.
        replication_from: how that is known, in a word; empty when Kafka said so.
    """

    max_connections: int | None = None
    kafka_retention_s: float = 7 * 86_400
    partitions: int | None = None
    replication: int = 3
    replication_from: str = "assumed"


def plan(config: Config, loads: Sequence[Load], costs: Costs, known: Circumstances) -> list[Need]:
    """What the targets need."""
    active = sum(load.targets for load in loads)
    rate = sum(load.targets / load.interval_s for load in loads)
    size = config.monitor.websites_per_container
    producers = producers_needed(active, size)
    consumers = max(1, math.ceil(rate / (_HEADROOM * costs.consumer_rows)))
    return [
        Need("active targets", active),
        Need("checks a second", rate),
        Need("producers", producers, because=f"{size:,} websites each"),
        *_of_a_producer(config, rate / producers if producers else 0.0, costs),
        *_of_consumers(config, rate, consumers, costs, known),
        _connections(config, producers, consumers, known),
        *_of_servers(rate, costs, known),
    ]


def _of_a_producer(config: Config, rate: float, costs: Costs) -> Iterator[Need]:
    """What one producer needs. A producer is one process, so more than one processor does not help it."""
    size = config.monitor.websites_per_container
    processors = rate * costs.check_us / 1e6
    fitting = max(1, int(size * _HEADROOM / processors)) if processors else size
    at_once = math.ceil(rate * costs.response_time_s)
    yield Need(
        "processor of each producer",
        processors,
        have=1.0,
        advice=f"monitor.websites_per_container: {fitting}, or monitor.engine: native",
        because=f"{rate:,.1f} checks/s, {costs.check_us:,.0f} µs each with engine {config.monitor.engine}",
    )
    yield Need(
        "checks at once of each producer",
        at_once,
        have=config.monitor.max_concurrent_checks,
        advice=f"monitor.max_concurrent_checks: {2 * at_once}",
        because=f"{1000 * costs.response_time_s:g} ms each",
    )


def _of_consumers(config: Config, rate: float, consumers: int, costs: Costs, known: Circumstances) -> Iterator[Need]:
    because = f"{_HEADROOM * costs.consumer_rows:,.0f} rows/s each; one more to take over"
    yield Need("consumers", consumers, because=because)
    yield Need("consumers' processors", rate * costs.row_us / 1e6, because=f"{costs.row_us:g} µs a row")
    yield Need(
        "partitions of the topic",
        consumers,
        have=known.partitions or config.kafka.partitions,
        advice=f"kafka.partitions: {2 * consumers}, then dbadmin create-topics",
        because="no more consumers than partitions work",
    )


def _connections(config: Config, producers: int, consumers: int, known: Circumstances) -> Need:
    status = config.status.pool_size + (_WRITER_CONNECTIONS if config.status.writes else 0)
    connections = producers + consumers + _ALERT_CONNECTIONS + status + _DBADMIN_CONNECTIONS
    return Need(
        "connections to PostgreSQL",
        connections,
        have=known.max_connections,
        advice=f"allow {connections}, or raise monitor.websites_per_container for fewer producers",
        because=f"one for each producer and consumer, {_ALERT_CONNECTIONS} for an alert-svc, "
        f"{status} for a status-svc, {_DBADMIN_CONNECTIONS} for dbadmin",
    )


def _of_servers(rate: float, costs: Costs, known: Circumstances) -> Iterator[Need]:
    because = f"{costs.row_database_us:g} µs a row"
    yield Need("PostgreSQL's processors", rate * costs.row_database_us / 1e6, because=because)
    because = f"{costs.row_bytes:,.0f} bytes a row"
    yield Need("PostgreSQL's disk a month", rate * MONTH_S * costs.row_bytes, "B", because=because)
    yield Need(
        "Kafka's disk",
        rate * known.kafka_retention_s * costs.message_bytes * known.replication,
        "B",
        because=f"{costs.message_bytes:,.0f} bytes a message, {known.kafka_retention_s / 86_400:g} days, "
        f"{known.replication} replica{'' if known.replication == 1 else 's'}"
        + (f" ({known.replication_from})" if known.replication_from else ""),
    )
