"""Whatever becomes of the database, the group or the topic: all that Kafka has is stored once, and gaps are told."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its own names
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from local_stack.processes import script
from monitoring_core.codec import decode
from monitoring_testkit.waiting import until

from .pipeline import PARTITIONS
from .published import results

if TYPE_CHECKING:
    from pathlib import Path

    from confluent_kafka import Message

    from local_stack.processes import Service
    from monitoring_testkit.servers.killable_postgresql import KillablePostgresql

    from .pipeline import Pipeline

pytestmark = pytest.mark.end_to_end

COUNT = 6_000


def admin_of(pipeline: Pipeline) -> AdminClient:
    return AdminClient({"bootstrap.servers": pipeline.kafka.bootstrap_servers})


def stop(service: Service) -> None:
    assert service.child.stop() == 0, service.child.last_lines(20)


def counted(service: Service, sample: str) -> float:
    """The value of a metric with its labels; 0 without one."""
    for line in (service.get("/metrics") or "").splitlines():
        if line.startswith(f"{sample} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def gaps(pipeline: Pipeline) -> dict[str, int]:
    """The messages of the gaps that the database keeps, by reason."""
    with pipeline.postgres.connect() as connection:
        query = f"SELECT reason, sum(messages)::bigint FROM {pipeline.name}.availability_gap GROUP BY reason"
        return dict(connection.execute(query).fetchall())


def doctor(pipeline: Pipeline) -> str:
    command = [script("dbadmin"), "doctor", "--config", str(pipeline.directory / "setup.yaml")]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def forget(pipeline: Pipeline, gone: list[Message]) -> None:
    """Expect no rows of these messages any more."""
    for message in gone:
        del pipeline.expected[decode(message.value()).key]


def test_a_database_that_is_restored_behind_its_offsets(restorable: Pipeline) -> None:
    """All that the copy lacks is stored again, at once and without a restart."""
    backup = restorable.directory / "backup"
    restorable.publish_results(results(COUNT // 3))
    consumer = restorable.consumer()
    restorable.until_stored()
    restorable.postgres.save(backup)
    restorable.publish_results(results(COUNT, COUNT // 3))
    restorable.until_stored()
    until(lambda: restorable.unread() == 0, what=restorable.logs)
    restorable.postgres.restore(backup)
    restorable.until_stored()
    assert consumer.child.status is None
    assert "the database is behind what was stored" in restorable.logs()
    restorable.compare()


def test_a_database_that_is_restored_to_before_the_first_message(restorable: Pipeline) -> None:
    """While no consumer runs; results come in meanwhile."""
    backup = restorable.directory / "backup"
    restorable.postgres.save(backup)
    restorable.publish_results(results(COUNT))
    stopped = restorable.consumer("first")
    restorable.until_stored()
    until(lambda: restorable.unread() == 0, what=restorable.logs)
    stop(stopped)
    restorable.postgres.restore(backup)
    restorable.publish_results(results(1_000, COUNT))
    restorable.consumer("second")
    restorable.until_stored()
    restorable.compare()


def test_a_standby_that_is_behind_takes_over(replicated: Pipeline, tmp_path: Path) -> None:
    """The primary is lost with rows that the standby never received: they are stored again."""
    primary = replicated.postgres
    standby = primary.standby(tmp_path / "standby")
    try:
        replicated.publish_results(results(COUNT // 3))
        consumer = replicated.consumer()
        replicated.until_stored()
        sent = until_same(primary, standby, replicated.table)
        standby.stop_following()
        replicated.publish_results(results(COUNT, COUNT // 3))
        replicated.until_stored()
        until(lambda: replicated.unread() == 0, what=replicated.logs)
        primary.kill()
        standby.promote()
        assert count(standby, replicated.table) == sent < len(replicated.expected)
        assert replicated.proxy is not None
        replicated.postgres, replicated.proxy.socket_path = standby, standby.socket_path
        replicated.until_stored()
        assert consumer.child.status is None
        assert "the database is behind what was stored" in replicated.logs()
        replicated.compare()
        stop(consumer)
    finally:
        standby.close()


def count(postgres: KillablePostgresql, table: str) -> int:
    with postgres.connect() as connection:
        return int((connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (-1,))[0])


def until_same(primary: KillablePostgresql, standby: KillablePostgresql, table: str) -> int:
    """Wait until the standby has as many rows as the primary; how many."""
    rows = count(primary, table)
    until(lambda: count(standby, table) == rows)
    return rows


def test_a_server_that_crashes_while_commits_do_not_wait_for_the_disk(restorable: Pipeline) -> None:
    """Whoever set that for the database does not decide for consumers."""
    with restorable.postgres.connect() as admin:
        admin.execute("ALTER DATABASE monitoring SET synchronous_commit = off")
        admin.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        admin.execute("SELECT pg_reload_conf()")
    restorable.publish_results(results(COUNT))
    restorable.consumer(batch_max_rows=50)
    for part in range(1, 4):
        restorable.until_stored(part * COUNT // 5)
        restorable.postgres.kill()
        restorable.postgres.start()
    restorable.until_stored()
    restorable.compare()


def test_a_group_that_is_reset_forwards_or_backwards(pipeline: Pipeline) -> None:
    """Neither leaves a gap; what is stored is not read again."""
    pipeline.publish_results(results(COUNT))
    first = pipeline.consumer("first")
    pipeline.until_stored()
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    stop(first)
    pipeline.publish_results(results(1_000, COUNT))
    reset(pipeline, 1_000_000)
    second = pipeline.consumer("second")
    pipeline.until_stored()
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    stop(second)
    reset(pipeline, 0)
    third = pipeline.consumer("third")
    pipeline.publish_results(results(1_000, COUNT + 1_000))
    pipeline.until_stored()
    assert counted(third, 'consumer_rows_total{kind="duplicate"}') == 0
    pipeline.compare()


def reset(pipeline: Pipeline, most: int) -> None:
    """Set each offset of the group to the end of the partition, or to `most` where that is less."""
    admin, ends = admin_of(pipeline), dict.fromkeys(range(PARTITIONS), 0)
    for message in pipeline.messages(pipeline.name):
        ends[message.partition() or 0] = (message.offset() or 0) + 1
    places = [TopicPartition(pipeline.name, number, min(most, end)) for number, end in ends.items()]
    asked = [ConsumerGroupTopicPartitions(pipeline.name, places)]
    until(lambda: not any(part.error for part in altered(admin, asked)))


def altered(admin: AdminClient, asked: list[ConsumerGroupTopicPartitions]) -> list[TopicPartition]:
    """What became of each offset; the group may not be empty yet."""
    (future,) = admin.alter_consumer_group_offsets(asked).values()
    return list(future.result(60).topic_partitions)


def test_a_second_group_goes_on_where_the_rows_end(pipeline: Pipeline) -> None:
    """As after `consumer.group_id` was changed."""
    pipeline.publish_results(results(COUNT))
    stopped = pipeline.consumer("first")
    pipeline.until_stored()
    stop(stopped)
    pipeline.publish_results(results(1_000, COUNT))
    other = pipeline.consumer("other", group_id=f"{pipeline.name}-other")
    pipeline.until_stored()
    assert counted(other, 'consumer_rows_total{kind="duplicate"}') == 0
    pipeline.compare()


def test_messages_that_expire_behind_the_offset(pipeline: Pipeline) -> None:
    """The rest is stored; what is gone is counted, told once, kept, and shown by doctor."""
    pipeline.publish_results(results(COUNT))
    stopped = pipeline.consumer("first")
    pipeline.until_stored()
    stop(stopped)
    before = {(m.partition(), m.offset()) for m in pipeline.messages(pipeline.name)}
    pipeline.publish_results(results(2_000, COUNT))
    new = [m for m in pipeline.messages(pipeline.name) if (m.partition(), m.offset()) not in before]
    gone = [m for m in new if m.partition() == 1][:100]
    forget(pipeline, gone)
    end = TopicPartition(pipeline.name, 1, (gone[-1].offset() or 0) + 1)
    admin = admin_of(pipeline)
    for future in admin.delete_records([end]).values():
        future.result(60)
    second = pipeline.consumer("second")
    pipeline.until_stored()
    assert counted(second, "consumer_missing_messages_total") == len(gone) == 100
    assert pipeline.logs().count("Kafka no longer had messages that were due to be stored") == 1
    assert gaps(pipeline) == {"expired": 100}
    assert "100 messages of topic" in doctor(pipeline)
    pipeline.compare()


def test_a_topic_that_is_compacted_before_it_is_read(pipeline: Pipeline) -> None:
    """What is left is stored, and what is missing is counted."""
    admin = admin_of(pipeline)
    resource = ConfigResource(ResourceType.TOPIC, pipeline.name)
    for name, value in {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}.items():
        resource.add_incremental_config(ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET))
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(60)
    stopped = pipeline.consumer("first")
    pipeline.publish_results(results(500))
    pipeline.until_stored()
    stop(stopped)
    for part in range(3):
        pipeline.publish_results(results(1_000, 1_000 * (part + 1)))
        time.sleep(0.5)  # the last segment is never compacted
    pipeline.publish_results(results(20, 4_000))
    left: list[Message] = []

    def compacted() -> bool:
        left[:] = pipeline.messages(pipeline.name)
        return len(left) < 3_000

    until(compacted, 60, lambda: f"{len(left)} messages are left")
    time.sleep(3)
    keys = {decode(message.value()).key for message in pipeline.messages(pipeline.name)}
    for key in [*pipeline.expected][500:]:
        if key not in keys:
            del pipeline.expected[key]
    second = pipeline.consumer("second")
    pipeline.until_stored()
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    missing = counted(second, "consumer_missing_messages_total")
    assert missing == 500 + 3_020 - len(pipeline.expected)
    assert gaps(pipeline) == {"missing": missing}
    pipeline.compare()


def test_a_topic_that_is_deleted_and_made_anew(pipeline: Pipeline) -> None:
    """While the consumer runs, with fewer messages than before and with more: all of the new one is stored."""
    pipeline.publish_results(results(COUNT))
    consumer = pipeline.consumer()
    pipeline.until_stored()
    admin = admin_of(pipeline)
    admin.delete_topics([pipeline.name])[pipeline.name].result(60)
    topic = NewTopic(pipeline.name, PARTITIONS, 1)
    until(lambda: admin.create_topics([topic])[pipeline.name].exception(10) is None)
    pipeline._producer = None
    pipeline.publish_results(results(1_000, COUNT))
    pipeline.until_stored()
    pipeline.publish_results(results(2 * COUNT, COUNT + 1_000))
    pipeline.until_stored()
    assert counted(consumer, 'consumer_gaps_total{reason="topic_replaced"}') == PARTITIONS
    assert "was made anew" in doctor(pipeline)
    pipeline.compare()
