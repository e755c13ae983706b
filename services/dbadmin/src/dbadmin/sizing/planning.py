"""What an installation needs, from its targets and from what things cost, as measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from monitoring_core.assignment import producers_needed
from monitoring_core.config import EngineName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_core.config import Config

MONTH_S = 30 * 86_400
# The share of a processor, and of what a consumer did at most, that is planned to be used.
_HEADROOM = 0.5
# For dbadmin's own: maintain, doctor and a person.
_OTHER_CONNECTIONS = 3


@attrs.frozen(kw_only=True)
class Costs:
    """What things cost: the medians of tests-e2e/benchmarks/README.md, unless others are given.

    Attributes:
        check_us: processor time of a producer for one check over HTTPS, in microseconds, engine and all around it.
        row_us: processor time of a consumer for one row; `row_database_us` that of PostgreSQL.
        consumer_rows: rows that one consumer stores in a second at most.
        row_bytes: disk of PostgreSQL for one result, its part of the indexes included.
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


# The engine's check over HTTPS and 21 µs for what is around it.
CHECK_US = {EngineName.CURL: 841.0, EngineName.REQUESTS: 2151.0}


@attrs.frozen
class Load:
    """So many targets that are checked once in `interval_s`."""

    targets: int
    interval_s: float


@attrs.frozen
class Need:
    """One line of a plan.

    Attributes:
        have: what there is or is configured; None when that is not known, or nothing to compare with.
        advice: what to do, when it is not enough.
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
        max_connections: that PostgreSQL gives to others than superusers.
    """

    max_connections: int | None = None
    kafka_retention_s: float = 7 * 86_400
    replication: int = 3


def plan(config: Config, loads: Sequence[Load], costs: Costs, known: Circumstances) -> list[Need]:
    """What these targets need."""
    active = sum(load.targets for load in loads)
    rate = sum(load.targets / load.interval_s for load in loads)
    size = config.monitor.websites_per_container
    producers = producers_needed(active, size)
    each = rate / producers if producers else 0.0
    consumers = max(1, math.ceil(rate / (_HEADROOM * costs.consumer_rows)))
    connections = producers + consumers + _OTHER_CONNECTIONS
    return [
        Need("active targets", active),
        Need("checks a second", rate),
        Need("producers", producers, because=f"{size:,} websites each"),
        *_producer(config, each, costs, size),
        Need(
            "consumers", consumers, because=f"{_HEADROOM * costs.consumer_rows:,.0f} rows/s each; one more to take over"
        ),
        Need("consumers' processors", rate * costs.row_us / 1e6, because=f"{costs.row_us:g} µs a row"),
        Need(
            "partitions of the topic",
            consumers,
            have=config.kafka.partitions,
            advice=f"kafka.partitions: {2 * consumers}, then dbadmin create-topics",
            because="no more consumers than partitions work",
        ),
        Need(
            "connections to PostgreSQL",
            connections,
            have=known.max_connections,
            advice=f"allow {connections}, or raise monitor.websites_per_container for fewer producers",
            because=f"one for each producer and consumer, {_OTHER_CONNECTIONS} for dbadmin",
        ),
        Need(
            "PostgreSQL's processors", rate * costs.row_database_us / 1e6, because=f"{costs.row_database_us:g} µs a row"
        ),
        Need(
            "PostgreSQL's disk a month",
            rate * MONTH_S * costs.row_bytes,
            "B",
            because=f"{costs.row_bytes:,.0f} bytes a row",
        ),
        Need(
            "Kafka's disk",
            rate * known.kafka_retention_s * costs.message_bytes * known.replication,
            "B",
            because=f"{costs.message_bytes:,.0f} bytes a message, {known.kafka_retention_s / 86_400:g} days, "
            f"{known.replication} replicas",
        ),
    ]


def _producer(config: Config, each: float, costs: Costs, size: int) -> list[Need]:
    """What one producer does, which is one process: more than one processor does not help it."""
    processors = each * costs.check_us / 1e6
    fitting = max(1, int(size * _HEADROOM / processors)) if processors else size
    at_once = math.ceil(each * costs.response_time_s)
    return [
        Need(
            "processor of each producer",
            processors,
            have=1.0,
            advice=f"monitor.websites_per_container: {fitting}, or monitor.engine: curl",
            because=f"{each:,.1f} checks/s, {costs.check_us:,.0f} µs each with engine {config.monitor.engine}",
        ),
        Need(
            "checks at once of each producer",
            at_once,
            have=config.monitor.max_concurrent_checks,
            advice=f"monitor.max_concurrent_checks: {2 * at_once}",
            because=f"{1000 * costs.response_time_s:g} ms each",
        ),
    ]
