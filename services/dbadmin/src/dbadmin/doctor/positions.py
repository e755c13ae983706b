"""Whether what consumers are done with is stored in this database: two databases may share a group by mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from dbadmin.connect import APPLICATION_NAME
from dbadmin.doctor.cluster import Cluster
from dbadmin.doctor.consumers import LATE_S, committed, older
from dbadmin.doctor.findings import Finding, failed, passed
from monitoring_core.errors import OutageError
from monitoring_runtime.kafka import SILENT
from monitoring_runtime.postgres import composed, connect
from monitoring_runtime.topic_states import KafkaTopicStates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import Config, DatabaseConfig
    from monitoring_runtime.topics import Topic

_CONNECT_S = 5
_STATEMENT_S = 10.0
_TIMEOUT_S = 10.0
_FIND = "SELECT partition, next_offset FROM {availability_position} WHERE cluster = %s AND topic = %s AND topic_id = %s"
_SUBJECT = "stored positions"
_MEND = "give the consumers of each database a group of their own (consumer.group_id)"


def check_positions(config: Config) -> Iterator[Finding]:
    """Partitions of which the group has committed what this database lacks; nothing when a server cannot be asked.

    Consumers commit what they have stored. After a database was restored they read again what it lacks within seconds.
    """
    try:
        state = KafkaTopicStates(config.kafka, APPLICATION_NAME).now()
        found = _stored(config.database, state.topic)
        properties: dict[str, Any] = dict(config.kafka.client_properties())
        cluster = Cluster(config, AdminClient(properties, logger=SILENT), properties, _TIMEOUT_S)
        done = committed(cluster, config.consumer.group_id, len(state.begins))
        stored = {number: max(begin, found.get(number, begin)) for number, begin in state.begins.items()}
        old = set(older(cluster, stored, LATE_S))
    except (OutageError, psycopg.Error, KafkaException, TimeoutError):
        return
    if behind := [number for number in sorted(old) if done.get(number, 0) > stored[number]]:
        number = behind[0]
        text = (
            f"group {config.consumer.group_id} is done with partition {number} up to offset {done[number]}, and this "
            f"database up to {stored[number]}: a consumer of the group writes into another database"
        )
        yield failed(_SUBJECT, text, _MEND)
    else:
        yield passed(_SUBJECT, "the database has what the group is done with")


def _stored(config: DatabaseConfig, topic: Topic) -> dict[int, int]:
    with connect(
        config, APPLICATION_NAME, autocommit=True, connect_timeout_s=_CONNECT_S, statement_timeout_s=_STATEMENT_S
    ) as connection:
        rows = connection.execute(composed(_FIND, config.schema), (topic.cluster, topic.name, topic.id)).fetchall()
    return {int(partition): int(offset) for partition, offset in rows}
