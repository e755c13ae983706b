"""The tables that a consumer writes, beside that of the results, as dbadmin makes them."""

from __future__ import annotations

_TOPIC = "cluster text, topic text, topic_id text, partition integer"

# In the schema `monitoring`.
STATEMENTS = (
    "CREATE TABLE monitoring.availability_dirty_hour (hour timestamptz NOT NULL)",
    f"""CREATE TABLE monitoring.availability_position (
        {_TOPIC}, next_offset bigint NOT NULL, PRIMARY KEY (cluster, topic, topic_id, partition))""",
    f"""CREATE TABLE monitoring.availability_gap (
        {_TOPIC}, reason text, first_offset bigint NOT NULL, next_offset bigint NOT NULL, messages bigint NOT NULL,
        first_seen_at timestamptz NOT NULL DEFAULT now(), last_seen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (cluster, topic, topic_id, partition, reason))""",
)
