"""What plans need to know from the servers: targets by interval, the size of a row, connections, the topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from dbadmin.connect import connected, one_row
from dbadmin.sizing.planning import Load
from monitoring_core.tables import RESULT_TABLE
from monitoring_runtime.kafka import SILENT
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    import psycopg

    from monitoring_core.config import Config, DatabaseConfig, KafkaConfig

_KAFKA_S = 3.0
# Smaller tables are left out: the fixed pages of a table would make their rows look larger than they are.
_ENOUGH_ROWS = 10_000

_LOADS = """
    SELECT count(*), coalesce(amc_check_interval_s, %s) FROM {availability_monitor_config}
    WHERE amc_active GROUP BY 2 ORDER BY 2"""
_CONNECTIONS = """
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int"""
_ROWS = """
    SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0), coalesce(sum(greatest(c.reltuples, 0)), 0)
    FROM pg_partition_tree(to_regclass(format('%%I.%%I', %s::text, %s::text))) p JOIN pg_class c ON c.oid = p.relid
    WHERE p.isleaf AND c.reltuples >= %s"""


def read_loads(config: Config) -> list[Load]:
    """The number of active targets for each interval.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config.database) as connection:
        return loads_in(connection, config)


def loads_in(connection: psycopg.Connection[Any], config: Config) -> list[Load]:
    """Like `read_loads`, on an open connection."""
    default_s = config.monitor.check_interval.total_seconds()
    rows = connection.execute(composed(_LOADS, config.database.schema), (default_s,)).fetchall()
    return [Load(int(count), float(interval)) for count, interval in rows]


def read_max_connections(config: DatabaseConfig) -> int:
    """The number of connections that PostgreSQL allows to users that are not superusers.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        return max_connections_in(connection)


def max_connections_in(connection: psycopg.Connection[Any]) -> int:
    """Like `read_max_connections`, on an open connection."""
    return int(one_row(connection, _CONNECTIONS)[0])


def read_row_bytes(config: DatabaseConfig) -> float | None:
    """Bytes on disk for one stored result with its part of the indexes; None while there are too few rows.

    PostgreSQL counts the rows of a table when it analyzes it, so days that it has not analyzed yet are left out.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        size, rows = one_row(connection, _ROWS, (config.schema, RESULT_TABLE, _ENOUGH_ROWS))
    return float(size) / float(rows) if rows else None


@attrs.frozen
class Topic:
    """The topic of results as it is."""

    partitions: int
    replicas: int


def read_topic(config: KafkaConfig) -> Topic | None:
    """The topic of results as Kafka has it; None when it has none, or cannot be asked: a plan does not need Kafka."""
    admin = AdminClient({**config.client_properties()}, logger=SILENT)
    try:
        # Not by its name: Kafka may make a topic that somebody asks for.
        topic = admin.list_topics(timeout=_KAFKA_S).topics.get(config.topic_name)
    except KafkaException:
        return None
    counts = [len(partition.replicas) for partition in (topic.partitions if topic else {}).values()]
    return Topic(len(counts), max(counts)) if counts else None
