"""What can never be stored is kept as a dead letter, unchanged, and holds up nothing else."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its own names
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from monitoring_core.codec import encode, encode_key
from monitoring_testkit.topics import headers
from monitoring_testkit.waiting import until

from .published import results

if TYPE_CHECKING:
    from confluent_kafka import Message

    from .pipeline import Pipeline

pytestmark = pytest.mark.end_to_end

COUNT = 40_000


def poison(count: int) -> list[tuple[bytes | None, bytes | None]]:
    """Messages that can never be stored, of every kind."""
    (result,) = results(1)
    good = json.loads(encode(result))
    key = encode_key(result)
    kinds: list[tuple[bytes | None, bytes | None]] = [
        (key, b"{not json"),
        (key, b"[]"),
        (key, b""),
        (key, None),
        (key, b"\xff\xfe"),
        (key, json.dumps(good | {"schema_version": 2}).encode()),
        (key, json.dumps(good | {"target_id": "one"}).encode()),
        (key, json.dumps(good | {"target_id": 2**63}).encode()),
        (key, json.dumps(good | {"response_time_s": 1e300}).encode()),
        (key, json.dumps(good | {"error": "a\0b"}).encode()),
        (key, json.dumps(good | {"error": "\ud800"}).encode()),
        (key, json.dumps(good | {"scheduled_at": "0000-01-01T00:00:00Z"}).encode()),
        (key, json.dumps(good | {"error": "x" * 70_000}).encode()),
        (key, b"[" * 60_000),
        (None, encode(result)),
        (b"2", encode(result)),
    ]
    return [kinds[number % len(kinds)] for number in range(count)]


def test_poison_among_good_results(pipeline: Pipeline) -> None:
    """One in a hundred, SIGKILL included: it is in the dead-letter topic unchanged, and all else is stored."""
    bad = poison(COUNT // 100)
    good = results(COUNT)
    for part in range(100):
        size = COUNT // 100
        pipeline.publish_results(good[part * size : (part + 1) * size])
        pipeline.publish(bad[part * len(bad) // 100 : (part + 1) * len(bad) // 100])
    pipeline.consumer()
    pipeline.until_stored(COUNT // 5)
    pipeline.services["1"].child.kill()
    pipeline.consumer("2")
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    assert Counter(value for value, _ in pipeline.dead_letters().elements()) == Counter(value for _, value in bad)
    pipeline.compare()


def test_rows_that_the_database_alone_refuses(pipeline: Pipeline) -> None:
    """They are found by halving and dead-lettered; their neighbours are stored."""
    with pipeline.postgres.connect() as admin:
        admin.execute(f"ALTER TABLE {pipeline.table} ADD CONSTRAINT lucky CHECK (target_id <> 13)")
    good = results(COUNT // 4)
    refused = [result for result in good if result.target_id == 13]
    pipeline.publish((encode_key(result), encode(result)) for result in refused)
    pipeline.publish_results(result for result in good if result.target_id != 13)
    pipeline.consumer()
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    assert pipeline.dead_letters() == Counter((encode(result), "refused_by_database") for result in refused)
    pipeline.compare()


def test_a_topic_of_nothing_but_poison(pipeline: Pipeline) -> None:
    """The schema must be wrong, not the data: the service becomes not ready and says why; nothing is lost."""
    bad = poison(2_000)
    pipeline.publish(bad)
    consumer = pipeline.consumer()
    until(lambda: "of the last" in pipeline.services["1"].child.last_lines(50), what=pipeline.logs)
    until(lambda: consumer.get("/readyz") is None, what="not ready from the loop's next turn on")
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    assert Counter(value for value, _ in pipeline.dead_letters().elements()) == Counter(value for _, value in bad)
    pipeline.publish_results(results(COUNT // 4))
    pipeline.until_stored()
    pipeline.compare()


def test_a_dead_letter_topic_that_cannot_be_written(pipeline: Pipeline) -> None:
    """Nothing is skipped and nothing committed until it can."""
    admin = AdminClient({"bootstrap.servers": pipeline.kafka.bootstrap_servers})
    admin.delete_topics([pipeline.dead_letter_topic])[pipeline.dead_letter_topic].result(60)
    bad = poison(8)
    pipeline.publish(bad)
    consumer = pipeline.consumer()
    until(lambda: "cannot be written" in consumer.child.last_lines(50), what=pipeline.logs)
    assert consumer.get("/readyz") is None
    assert pipeline.unread() == len(bad)
    topic = NewTopic(pipeline.dead_letter_topic, 1, 1)
    admin.create_topics([topic])[pipeline.dead_letter_topic].result(60)
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    assert Counter(value for value, _ in pipeline.dead_letters().elements()) == Counter(value for _, value in bad)
    pipeline.compare()


def test_dead_letters_are_shown_and_replayed_after_a_fix(pipeline: Pipeline) -> None:
    """What the database refused is stored once it does not refuse any more; what is no result comes back."""
    with pipeline.postgres.connect() as admin:
        admin.execute(f"ALTER TABLE {pipeline.table} ADD CONSTRAINT lucky CHECK (target_id <> 13)")
        good = results(3_000)
        pipeline.publish_results(good)
        pipeline.publish([(b"1", b"{not json")])
        pipeline.consumer()
        until(lambda: pipeline.unread() == 0, what=pipeline.logs)
        lines = pipeline.command("dead-letters", "list", "--json").splitlines()
        assert sorted(json.loads(line)["reason"] for line in lines) == ["not_json", *3 * ["refused_by_database"]]
        place = next(json.loads(line)["place"] for line in lines if "not_json" in line)
        assert pipeline.command("dead-letters", "show", place, "--raw") == "{not json"
        assert "not_json" in pipeline.command("dead-letters", "show", place)
        admin.execute(f"ALTER TABLE {pipeline.table} DROP CONSTRAINT lucky")
    # One that is named is remembered; what is no result has become a dead letter again.
    assert pipeline.command("dead-letters", "replay", place).startswith("1 message sent")
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    assert pipeline.command("dead-letters", "replay", "--dry-run").startswith("4 messages would be sent")
    assert pipeline.command("dead-letters", "replay").startswith("4 messages sent")
    pipeline.until_stored()
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    assert pipeline.command("dead-letters", "replay", "--reason", "not_json").startswith("1 message sent")
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    assert pipeline.command("dead-letters", "discard", "--reason", "not_json").startswith("1 dead letter discarded")
    assert pipeline.command("dead-letters", "replay", "--dry-run").startswith("0 messages would be sent")
    assert "7 dead letters, 2 shown: 4 " in pipeline.command("dead-letters", "list", "--limit", "2")
    pipeline.compare()


def test_poison_that_is_too_large_for_the_dead_letters(pipeline: Pipeline) -> None:
    """It came compressed. What can be kept of it is kept, with its size, and nothing else is held up."""
    big = b'{"log": "' + random.Random(3).randbytes(3_000_000).hex().encode() + b'"}'
    resource = ConfigResource(ResourceType.TOPIC, pipeline.name)
    resource.add_incremental_config(
        ConfigEntry("max.message.bytes", "20000000", incremental_operation=AlterConfigOpType.SET)
    )
    admin = AdminClient({"bootstrap.servers": pipeline.kafka.bootstrap_servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(60)
    producer = Producer({"bootstrap.servers": pipeline.kafka.bootstrap_servers, "message.max.bytes": 20_000_000})
    easy = b'{"log": "' + b"A" * 5_000_000 + b'"}'
    for value in (big, easy):
        producer.produce(pipeline.name, value, b"1", partition=0)
    assert producer.flush(30) == 0
    pipeline.publish([(b"1", b"{not json")])
    pipeline.publish_results(results(2_000))
    pipeline.consumer()
    pipeline.until_stored()
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
    letters: dict[str, Message] = {}
    for message in pipeline.messages(pipeline.dead_letter_topic):
        found = headers(message)
        letters.setdefault(found["original_offset"] + found["reason"], message)
    cut, whole = letters["0too_large"], letters["1too_large"]
    assert (cut.value(), headers(cut)["cut_from_bytes"]) == (big[: 64 * 1024], str(len(big) + 1))
    assert (whole.value(), "cut_from_bytes" in headers(whole)) == (easy, False)
    assert pipeline.command("dead-letters", "replay", "--reason", "too_large").startswith("1 message sent")
    pipeline.compare()
