"""How far each partition of Kafka is stored, and what Kafka no longer had."""

from dbadmin.install.statements import run

revision = "0010"
down_revision = "0009"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

UPGRADE = (
    # Each row is updated with every batch: room in its page lets the updates stay there.
    """
CREATE TABLE {schema}.availability_position (
    cluster text NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (cluster, topic, topic_id, partition)
) WITH (fillfactor = 50)
""",
    """
CREATE TABLE {schema}.availability_gap (
    cluster text NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    partition integer NOT NULL,
    reason text NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    messages bigint NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster, topic, topic_id, partition, reason)
)
""",
)
COMMENTS = {
    "availability_position": (
        "How far each partition of the topic of results is stored. Consumers begin here.",
        {
            "cluster": "ID of the Kafka cluster.",
            "topic": "Name of the topic.",
            "topic_id": "ID of the topic, another one when it is made anew; empty where Kafka gives none.",
            "partition": "Number of the partition.",
            "next_offset": "Every message before this offset is stored, in the dead letters or gone from Kafka.",
        },
    ),
    "availability_gap": (
        "Messages that Kafka no longer had when they were due to be stored, one row for each partition and reason.",
        {
            "cluster": "ID of the Kafka cluster.",
            "topic": "Name of the topic.",
            "topic_id": "ID of the topic.",
            "partition": "Number of the partition.",
            "reason": "expired, missing (within the partition, as after compaction), set_back or topic_replaced.",
            "first_offset": "The first offset that was missing.",
            "next_offset": "The offset after the last one that was missing.",
            "messages": "How many offsets in between were missing; 0 where nobody can tell.",
            "first_seen_at": "When a consumer noticed it first.",
            "last_seen_at": "When a consumer noticed it last.",
        },
    ),
}


def upgrade() -> None:
    for statement in UPGRADE:
        run(statement)
    for table, (about, columns) in COMMENTS.items():
        run(f"COMMENT ON TABLE {{schema}}.{table} IS '{about}'")
        for column, meaning in columns.items():
            run(f"COMMENT ON COLUMN {{schema}}.{table}.{column} IS '{meaning}'")


def downgrade() -> None:
    for table in reversed(COMMENTS):
        run(f"DROP TABLE {{schema}}.{table}")
