"""Messages that Kafka no longer had when they were due to be stored, as consumers have noted them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from dbadmin.connect import APPLICATION_NAME
from dbadmin.doctor.findings import Finding, passed, warned
from monitoring_runtime.commands import counted
from monitoring_runtime.postgres import composed, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig

_CONNECT_S = 5
_STATEMENT_S = 10.0
_SUBJECT = "messages that were not stored"
_MEND = "docs/runbook.md says what is lost, and how to clear this"
# Older ones concern results that are no longer kept.
_FIND = """
SELECT topic, reason, count(*), sum(messages), to_char(max(last_seen_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
FROM {availability_gap} WHERE last_seen_at > now() - %s GROUP BY topic, reason ORDER BY topic, reason"""
_WORDS = {
    "expired": "expired in Kafka before they were read",
    # A client cannot tell the marks of transactions from messages that are gone.
    "missing": "were not in the topic, as after compaction, or where others write in transactions and nothing is lost",
}


def check_gaps(config: DatabaseConfig) -> Iterator[Finding]:
    """Gaps of the time for which results are kept; nothing when the table cannot be read, of which others tell."""
    query = composed(_FIND, config.schema)
    try:
        with connect(
            config,
            APPLICATION_NAME,
            autocommit=True,
            connect_timeout_s=_CONNECT_S,
            statement_timeout_s=_STATEMENT_S,
        ) as connection:
            found = connection.execute(query, (config.retention,)).fetchall()
    except psycopg.Error:
        return
    if not found:
        yield passed(_SUBJECT, "none")
    for topic, reason, partitions, messages, last in found:
        yield warned(_SUBJECT, f"{_said(topic, reason, partitions, messages)}, last on {last} UTC", _MEND)


def _said(topic: str, reason: str, partitions: int, messages: int) -> str:
    where = f"in {partitions} partition{'' if partitions == 1 else 's'}"
    match reason:
        case "topic_replaced":
            return f"topic {topic} was made anew: what of the old one was not stored yet is lost ({where})"
        case "set_back":
            return f"Kafka lost the end of topic {topic} ({where}): what was not stored yet is lost"
    return f"{counted(messages, 'message')} of topic {topic} {_WORDS.get(reason, reason)} ({where})"
