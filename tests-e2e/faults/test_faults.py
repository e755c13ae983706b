"""Whatever happens to it, a consumer stores exactly one row of every message: nothing missing, extra or altered."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pytest

from monitoring_core.result import Reason, Status
from monitoring_testkit.waiting import until

from .disks import fill
from .pipeline import BATCH_ROWS
from .published import results

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

    from local_stack.processes import Service

    from .pipeline import Pipeline

pytestmark = pytest.mark.end_to_end

COUNT = 40_000
ROUNDS = 5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_consumer_that_is_ended_in_the_middle(pipeline: Pipeline, number: signal.Signals) -> None:
    """Five rounds, each ended while batches are on their way; the last one goes on where they stopped."""
    pipeline.publish_results(results(COUNT))
    for part in range(ROUNDS):
        before = pipeline.stored()
        consumer = pipeline.consumer(batch_max_rows=10)  # so slowly that the last round ends before the rows do
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
    pipeline.settings |= settings
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
    for number in range(3):
        other = pipeline.consumer(f"other{number}")
        until(partial(ready, other), what=pipeline.logs)
        time.sleep(0.5)
        other.child.signal(signal.SIGKILL if number % 2 else signal.SIGTERM)
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
        until(lambda: pipeline.services["1"].get("/readyz") is None, what=pipeline.logs)
    pipeline.until_stored()
    pipeline.compare()


def test_a_database_whose_rights_are_taken_away(pipeline: Pipeline) -> None:
    """As while somebody installs it again: nothing is dead-lettered, all is stored when they are back."""
    pipeline.publish_results(results(COUNT))
    pipeline.consumer(batch_max_rows=50)
    pipeline.until_stored(COUNT // 10)
    with pipeline.postgres.connect() as admin:
        admin.execute(f"ALTER TABLE {pipeline.table} RENAME TO away")
        until(lambda: pipeline.services["1"].get("/readyz") is None, what=pipeline.logs)
        time.sleep(1)
        admin.execute(f"ALTER TABLE {pipeline.name}.away RENAME TO availability_result")
    pipeline.until_stored()
    assert not pipeline.messages(pipeline.dead_letter_topic)
    pipeline.compare()


def test_settings_of_the_database_do_not_reach_consumers(pipeline: Pipeline) -> None:
    """Read-only transactions, styles, timeouts and encodings are theirs to choose."""
    settings = {
        "default_transaction_read_only": "on",
        "statement_timeout": "'50ms'",
        "lock_timeout": "'1ms'",
        "idle_in_transaction_session_timeout": "'1ms'",
        "idle_session_timeout": "'100ms'",
        "datestyle": "'German, DMY'",
        "client_encoding": "'LATIN1'",
        "search_path": "''",
    }
    with pipeline.postgres.connect() as admin:
        try:
            for name, value in settings.items():
                admin.execute(f"ALTER DATABASE monitoring SET {name} = {value}")
            pipeline.consumer()
            pipeline.publish_results(results(COUNT // 4, error="größer 💥"))
            pipeline.until_stored()
            pipeline.publish_results(results(100, COUNT))
            pipeline.until_stored()
        finally:
            for name in settings:
                admin.execute(f"ALTER DATABASE monitoring RESET {name}")
    assert not pipeline.messages(pipeline.dead_letter_topic)
    assert "cannot be stored" not in pipeline.logs()
    pipeline.compare()


def test_a_table_that_is_locked(pipeline: Pipeline) -> None:
    """For longer than anybody waits: `/readyz` says so, and all is stored when the lock is gone."""
    pipeline.publish_results(results(COUNT))
    consumer = pipeline.consumer(batch_max_rows=50)
    pipeline.until_stored(COUNT // 10)
    with pipeline.postgres.connect() as admin, admin.transaction():
        admin.execute(f"LOCK TABLE {pipeline.table} IN SHARE MODE")
        until(lambda: consumer.get("/readyz") is None, what=pipeline.logs)
    pipeline.until_stored()
    pipeline.compare()


def test_a_table_without_a_default_partition(pipeline: Pipeline) -> None:
    """Results of a day that has no partition wait until it has one; they are not dead-lettered."""
    with pipeline.postgres.connect() as admin:
        admin.execute(f"DROP TABLE {pipeline.table}_default")
        good = results(600)
        days = [good[0].scheduled_at - dt.timedelta(days=age) for age in (0, 40)]
        pipeline.publish_results(result.replace(scheduled_at=day) for day in days for result in good)
        consumer = pipeline.consumer()
        until(lambda: "their day has no partition (run dbadmin maintain)" in pipeline.logs(), what=pipeline.logs)
        assert consumer.get("/readyz") is None
        admin.execute(f"CREATE TABLE {pipeline.table}_default PARTITION OF {pipeline.table} DEFAULT")
    pipeline.until_stored()
    assert not pipeline.messages(pipeline.dead_letter_topic)
    pipeline.compare()


def test_a_disk_that_is_full(on_small_disk: Pipeline) -> None:
    """Whether PostgreSQL refuses or falls over, all is stored once there is room."""
    pipeline = on_small_disk
    pipeline.publish_results(results(COUNT))
    pipeline.consumer(batch_max_rows=50)
    pipeline.until_stored(COUNT // 10)
    filler = pipeline.directory / "disk" / "filler"
    fill(filler)
    until(lambda: pipeline.services["1"].get("/readyz") is None, what=pipeline.logs)
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
    """Because somebody deleted the positions: every message is a duplicate, and no row changes."""
    pipeline.publish_results(results(COUNT))
    pipeline.consumer("first")
    pipeline.until_stored()
    assert pipeline.services["first"].child.stop() == 0
    with pipeline.postgres.connect() as admin:
        admin.execute(f"DELETE FROM {pipeline.name}.availability_position")
    again = pipeline.consumer("again")
    until(lambda: f'kind="duplicate"}} {float(COUNT)}' in (again.get("/metrics") or ""), what=pipeline.logs)
    pipeline.compare()


def test_two_groups_that_write_the_same_rows_at_once(pipeline: Pipeline) -> None:
    """Neither deadlock nor doubles; the rows of both are the same."""
    published = results(COUNT)
    random.Random(5).shuffle(published)
    services = [pipeline.consumer(name, group_id=f"{pipeline.name}-{name}") for name in ("one", "two")]
    for service in services:
        until(partial(ready, service), what=pipeline.logs)
    pipeline.publish_results(published)
    pipeline.until_stored()
    for service in pipeline.services.values():
        until(partial(has_accounted, service, COUNT), what=pipeline.logs)
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
    until(lambda: pipeline.unread() == 0, what=pipeline.logs)
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


def ready(service: Service) -> bool:
    return service.get("/readyz") is not None


def has_accounted(service: Service, count: int) -> bool:
    """Whether a consumer has stored, replaced or met exactly this number of rows."""
    lines = [line for line in (service.get("/metrics") or "").splitlines() if line.startswith("consumer_rows_total")]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines)) == count


def terminate(admin: psycopg.Connection[TupleRow]) -> None:
    """End every session but this."""
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'consumer-svc'")
