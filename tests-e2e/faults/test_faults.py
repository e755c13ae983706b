"""Whatever happens to it, a consumer stores exactly one row of every message: nothing missing, extra or altered."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import psycopg
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from monitoring_core.codec import encode, encode_key
from monitoring_core.result import Reason, Status
from monitoring_testkit.waiting import until

from .conftest import BATCH_ROWS, fill, results

if TYPE_CHECKING:
    from .conftest import Pipeline

pytestmark = pytest.mark.end_to_end

COUNT = 40_000
ROUNDS = 5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_consumer_that_is_ended_in_the_middle(pipeline: Pipeline, number: signal.Signals) -> None:
    """Five rounds, each ended while batches are on their way; the last one goes on where they stopped."""
    pipeline.publish_results(results(COUNT))
    for part in range(ROUNDS):
        before = pipeline.stored()
        consumer = pipeline.consumer(batch_max_rows=50)
        pipeline.until_stored(before + random.randint(1, COUNT // 10))
        consumer.child.signal(number)
        status = consumer.child.wait()
        assert status == (0 if number == signal.SIGTERM else -number), pipeline.logs()
        assert part < ROUNDS - 1 or pipeline.stored() < COUNT
    pipeline.consumer()
    pipeline.until_stored()
    pipeline.compare()


@pytest.mark.parametrize(
    "settings",
    [{}, {"assignor": "cooperative-sticky"}, {"group_protocol": "consumer"}],
    ids=["eager", "cooperative", "new group protocol"],
)
def test_consumers_that_join_and_leave(pipeline: Pipeline, settings: dict[str, str]) -> None:
    """While results come in all the time: partitions change hands, rows neither get lost nor doubled."""
    pipeline.settings = settings
    done = threading.Event()
    error: list[BaseException] = []

    def publish() -> None:
        try:
            for part in range(20):
                pipeline.publish_results(results(COUNT // 20, part * COUNT // 20))
                time.sleep(0.4)
        except BaseException as raised:
            error.append(raised)
        done.set()

    threading.Thread(target=publish, daemon=True).start()
    pipeline.consumer("first")
    for turn in range(3):
        other = pipeline.consumer(f"other{turn}")
        until(lambda other=other: other.get("/readyz") is not None, what=pipeline.logs())
        time.sleep(0.5)
        other.child.signal(signal.SIGKILL if turn % 2 else signal.SIGTERM)
        other.child.wait()
    assert done.wait(60)
    assert not error
    pipeline.until_stored()
    assert pipeline.services["first"].child.status is None
    pipeline.compare()


def test_a_broker_that_is_killed_and_restarted(pipeline: Pipeline) -> None:
    """The consumer waits for it and goes on."""
    pipeline.publish_results(results(COUNT))
    pipeline.consumer(batch_max_rows=50)
    pipeline.until_stored(COUNT // 10)
    pipeline.kafka.kill()
    time.sleep(2)
    pipeline.kafka.start()
    pipeline.publish_results(results(1_000, COUNT))
    pipeline.until_stored()
    assert pipeline.services["1"].child.status is None
    pipeline.compare()


def test_a_database_that_is_killed_in_the_middle_of_transactions(pipeline: Pipeline) -> None:
    """Three times; the consumer keeps its place in the group and tries again."""
    pipeline.publish_results(results(COUNT))
    pipeline.consumer(batch_max_rows=50)
    for part in range(1, 4):
        pipeline.until_stored(part * COUNT // 8)
        pipeline.postgres.kill()
        # However fast the consumer was, there is something to write now.
        pipeline.publish_results(results(100, COUNT + 100 * part))
        until(lambda: pipeline.services["1"].get("/readyz") is None)
        pipeline.postgres.start()
    pipeline.until_stored()
    assert pipeline.services["1"].child.status is None
    pipeline.compare()


def test_a_database_that_stands_still(pipeline: Pipeline) -> None:
    """Longer than the session timeout: no rebalance, and all is stored when it goes on."""
    pipeline.publish_results(results(COUNT))
    pipeline.consumer(batch_max_rows=50)
    pipeline.until_stored(COUNT // 10)
    with pipeline.postgres.frozen():
        time.sleep(5)
        assert pipeline.services["1"].get("/healthz") is not None
    pipeline.until_stored()
    assert assignments(pipeline) == 1
    pipeline.compare()


def test_a_database_without_a_free_connection(pipeline: Pipeline) -> None:
    """Refused connections are an outage."""
    pipeline.publish_results(results(COUNT))
    pipeline.consumer(batch_max_rows=50)
    pipeline.until_stored(COUNT // 10)
    with contextlib.ExitStack() as taken:
        admin = taken.enter_context(pipeline.postgres.connect())
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                taken.enter_context(pipeline.postgres.connect())
        terminate(admin)
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                taken.enter_context(pipeline.postgres.connect())
        until(lambda: pipeline.services["1"].get("/readyz") is None, what=pipeline.logs())
    pipeline.until_stored()
    pipeline.compare()


def test_a_database_that_is_read_only(pipeline: Pipeline) -> None:
    """As after a failover to a standby: nothing is dead-lettered, all is stored when it can be written again."""
    pipeline.publish_results(results(COUNT))
    pipeline.consumer(batch_max_rows=50)
    pipeline.until_stored(COUNT // 10)
    with pipeline.postgres.connect() as admin:
        admin.execute("ALTER DATABASE monitoring SET default_transaction_read_only = on")
        terminate(admin)
        until(lambda: pipeline.services["1"].get("/readyz") is None, what=pipeline.logs())
        time.sleep(1)
        admin.execute("SET default_transaction_read_only = off")
        admin.execute("ALTER DATABASE monitoring RESET default_transaction_read_only")
    pipeline.until_stored()
    assert not pipeline.messages(pipeline.dead_letter_topic)
    pipeline.compare()


def test_a_statement_timeout_and_a_lock(pipeline: Pipeline) -> None:
    """A table that is locked for longer than statements may take."""
    pipeline.publish_results(results(COUNT))
    with pipeline.postgres.connect() as admin:
        admin.execute("ALTER DATABASE monitoring SET statement_timeout = '300ms'")
        try:
            pipeline.consumer(batch_max_rows=50)
            pipeline.until_stored(COUNT // 10)
            with admin.transaction():
                admin.execute(f"LOCK TABLE {pipeline.table} IN SHARE MODE")
                until(lambda: pipeline.services["1"].get("/readyz") is None, what=pipeline.logs())
            pipeline.until_stored()
        finally:
            admin.execute("ALTER DATABASE monitoring RESET statement_timeout")
    pipeline.compare()


def test_a_disk_that_is_full(small_disk: Pipeline) -> None:
    """Whether PostgreSQL refuses or falls over, all is stored once there is room."""
    pipeline = small_disk
    pipeline.publish_results(results(COUNT))
    pipeline.consumer(batch_max_rows=50)
    pipeline.until_stored(COUNT // 10)
    filler = pipeline.directory / "disk" / "filler"
    fill(filler)
    until(lambda: pipeline.services["1"].get("/readyz") is None, what=pipeline.logs())
    time.sleep(1)
    filler.unlink()
    pipeline.postgres.start()
    pipeline.until_stored()
    assert not pipeline.messages(pipeline.dead_letter_topic)
    pipeline.compare()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_connection_that_is_cut_at_the_commit(proxied: Pipeline, moment: str) -> None:
    """Between COPY and COMMIT, and between COMMIT and its answer, when nobody knows whether it holds."""
    assert proxied.proxy
    proxied.publish_results(results(COUNT // 4))
    setattr(proxied.proxy, moment, 10)
    proxied.consumer(batch_max_rows=BATCH_ROWS)
    proxied.until_stored()
    assert getattr(proxied.proxy, moment) == 0
    proxied.compare()


def test_a_network_that_lets_nothing_pass(proxied: Pipeline) -> None:
    """Connections that hang, without an end or an error, for longer than the session timeout."""
    assert proxied.proxy
    proxied.publish_results(results(COUNT))
    proxied.consumer(batch_max_rows=50)
    proxied.until_stored(COUNT // 10)
    proxied.proxy.passing.clear()
    time.sleep(5)
    proxied.proxy.passing.set()
    proxied.until_stored()
    assert assignments(proxied) == 1
    proxied.compare()


def test_a_topic_that_is_read_again_from_the_start(pipeline: Pipeline) -> None:
    """By a new group: every message is a duplicate, and no row changes."""
    pipeline.publish_results(results(COUNT))
    pipeline.consumer("first")
    pipeline.until_stored()
    assert pipeline.services["first"].child.stop() == 0
    again = pipeline.consumer("again", group_id=f"{pipeline.name}-again")
    until(lambda: f'kind="duplicate"}} {float(COUNT)}' in (again.get("/metrics") or ""), what=pipeline.logs())
    pipeline.compare()


def test_two_groups_that_write_the_same_rows_at_once(pipeline: Pipeline) -> None:
    """Neither deadlock nor doubles; the rows of both are the same."""
    published = results(COUNT)
    random.Random(5).shuffle(published)
    pipeline.publish_results(published)
    for name in ("one", "two"):
        pipeline.consumer(name, group_id=f"{pipeline.name}-{name}")
    pipeline.until_stored()
    for service in pipeline.services.values():
        until(lambda service=service: accounted(service.get("/metrics") or "") == COUNT, what=pipeline.logs())
    pipeline.compare()


def test_a_real_result_replaces_an_unknown_one(pipeline: Pipeline) -> None:
    """Whichever comes first, within one batch or in different ones, by two consumers at once."""
    real = results(6_000, status=Status.UP, reason=None)
    unknown = [
        result.replace(status=Status.UNKNOWN, reason=Reason.MISSED_WINDOW, error="late", response_time_s=None)
        for result in real
    ]
    both = [*real[:4_000], *unknown[2_000:]]
    random.Random(7).shuffle(both)
    pipeline.consumer("one")
    pipeline.consumer("two")
    for begin in range(0, len(both), 1_000):
        pipeline.publish_results(both[begin : begin + 1_000])
        time.sleep(0.1)
    pipeline.publish_results(real[4_000:])
    until(lambda: pipeline.unread() == 0, what=pipeline.logs())
    pipeline.compare()


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
    until(lambda: pipeline.unread() == 0, what=pipeline.logs())
    assert Counter(value for value, _ in pipeline.dead_letters().elements()) == Counter(value for _, value in bad)
    pipeline.compare()


def test_rows_that_the_database_alone_refuses(pipeline: Pipeline) -> None:
    """They are found by halving and set aside; their neighbours are stored."""
    with pipeline.postgres.connect() as admin:
        admin.execute(f"ALTER TABLE {pipeline.table} ADD CONSTRAINT lucky CHECK (target_id <> 13)")
    good = results(COUNT // 4)
    refused = [result for result in good if result.target_id == 13]
    pipeline.publish((encode_key(result), encode(result)) for result in refused)
    pipeline.publish_results(result for result in good if result.target_id != 13)
    pipeline.consumer()
    until(lambda: pipeline.unread() == 0, what=pipeline.logs())
    assert pipeline.dead_letters() == Counter((encode(result), "refused_by_database") for result in refused)
    pipeline.compare()


def test_a_topic_of_nothing_but_poison(pipeline: Pipeline) -> None:
    """The schema must be wrong, not the data: the service becomes not ready and says why; nothing is lost."""
    bad = poison(2_000)
    pipeline.publish(bad)
    consumer = pipeline.consumer()
    until(lambda: "of the last" in pipeline.services["1"].child.last_lines(50), what=pipeline.logs())
    until(lambda: consumer.get("/readyz") is None, what="not ready from the loop's next turn on")
    until(lambda: pipeline.unread() == 0, what=pipeline.logs())
    assert Counter(value for value, _ in pipeline.dead_letters().elements()) == Counter(value for _, value in bad)
    pipeline.publish_results(results(COUNT // 4))
    pipeline.until_stored()
    pipeline.compare()


def test_a_dead_letter_topic_that_cannot_be_written(pipeline: Pipeline) -> None:
    """Nothing is skipped and nothing committed until it can."""
    admin = AdminClient({"bootstrap.servers": pipeline.kafka.bootstrap_servers})
    admin.delete_topics([pipeline.dead_letter_topic])[pipeline.dead_letter_topic].result(10)
    bad = poison(8)
    pipeline.publish(bad)
    consumer = pipeline.consumer()
    until(lambda: "cannot be written" in consumer.child.last_lines(50), what=pipeline.logs())
    assert consumer.get("/readyz") is None
    assert pipeline.unread() == len(bad)
    topic = NewTopic(pipeline.dead_letter_topic, 1, 1)
    admin.create_topics([topic])[pipeline.dead_letter_topic].result(10)
    until(lambda: pipeline.unread() == 0, what=pipeline.logs())
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
        until(lambda: pipeline.unread() == 0, what=pipeline.logs())
        lines = pipeline.command("dead-letters", "list", "--json").splitlines()
        assert sorted(json.loads(line)["reason"] for line in lines) == ["not_json", *3 * ["refused_by_database"]]
        place = next(json.loads(line)["place"] for line in lines if "not_json" in line)
        assert pipeline.command("dead-letters", "show", place, "--raw") == "{not json"
        assert "not_json" in pipeline.command("dead-letters", "show", place)
        admin.execute(f"ALTER TABLE {pipeline.table} DROP CONSTRAINT lucky")
    assert pipeline.command("dead-letters", "replay", "--dry-run").startswith("4 messages would be sent")
    assert pipeline.command("dead-letters", "replay").startswith("4 messages sent")
    pipeline.until_stored()
    until(lambda: pipeline.unread() == 0, what=pipeline.logs())
    assert pipeline.command("dead-letters", "replay", "--reason", "not_json").startswith("1 messages sent")
    until(lambda: pipeline.unread() == 0, what=pipeline.logs())
    assert "6 dead letters, 2 shown: 3 " in pipeline.command("dead-letters", "list", "--limit", "2")
    pipeline.compare()


def test_days_without_a_partition(pipeline: Pipeline) -> None:
    """Results of days for which nobody made a partition are stored all the same."""
    good = results(200)
    years = [good[0].scheduled_at.year - 3, good[0].scheduled_at.year + 3]
    pipeline.publish_results(
        result.replace(scheduled_at=result.scheduled_at.replace(year=year, day=1)) for year in years for result in good
    )
    pipeline.consumer()
    pipeline.until_stored()
    pipeline.compare()
    assert "results of days that have no partition are in the default one" in pipeline.logs()


def assignments(pipeline: Pipeline) -> int:
    """How often consumer 1 was given partitions."""
    return (pipeline.directory / "consumer-1.log").read_text().count("assigned")


def accounted(metrics: str) -> int:
    lines = [line for line in metrics.splitlines() if line.startswith("consumer_rows_total")]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))


def terminate(admin: psycopg.Connection[tuple[object, ...]]) -> None:
    """End every session but this."""
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'consumer-svc'")
