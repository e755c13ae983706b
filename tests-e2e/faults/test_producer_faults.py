"""Whatever happens to it, every slot that a producer had to run ends as one row."""

from __future__ import annotations

import random
import signal
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from monitoring_testkit.producer.engines import needs_native
from monitoring_testkit.waiting import until

from .checks import TARGETS, Checks, checked, now_ms
from .disks import fill, small_disk
from .machine_clock import MachineClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_stack.processes import Service

    from .pipeline import Pipeline

pytestmark = pytest.mark.end_to_end

ROUNDS = 5
# How early the engine `native` takes checks.
LEAD_MS = 800


def held(service: Service) -> float | None:
    """The ID that a producer holds, 0 while it stands by; None before it says anything."""
    return service.metric("producer_id") if service.get("/metrics") else None


def holds(service: Service, producer_id: int) -> bool:
    return held(service) == producer_id


@pytest.fixture
def checks(pipeline: Pipeline) -> Iterator[Checks]:
    with checked(pipeline) as checks:
        yield checks


def test_a_producer_that_is_killed_at_any_moment(checks: Checks) -> None:
    """Five rounds; the next one accounts for what nobody ran, and sends what the last one had not."""
    for number in range(ROUNDS):
        producer = checks.start(f"producer {number}")
        until(partial(holds, producer, 1), what=checks.pipeline.logs)
        time.sleep(random.uniform(0.1, 2.0))
        producer.child.signal(signal.SIGKILL)
        producer.child.wait()
    last = checks.start("producer last")
    until(lambda: held(last) == 1)
    time.sleep(2)
    assert checks.compare() <= {"up", "unknown missed_window"}


def test_a_standby_takes_over_from_a_producer_that_is_killed(checks: Checks) -> None:
    """Within little more than the lease."""
    first = checks.start("producer first")
    second = checks.start("producer second")
    until(lambda: "standing by" in second.child.last_lines(20))
    first.child.signal(signal.SIGKILL)
    until(lambda: held(second) == 1)
    time.sleep(2)
    assert checks.compare() == {"up", "unknown missed_window"}


def test_producers_that_choose_their_ids_share_the_targets(checks: Checks) -> None:
    """Two of three are needed; the third takes the place of one that stops."""
    checks.pipeline.monitor["websites_per_container"] = TARGETS // 2
    services = [checks.start(f"producer {number}", "auto") for number in range(3)]
    until(lambda: {held(service) for service in services} == {0, 1, 2})
    time.sleep(2)
    stopped = next(service for service in services if held(service) == 1)
    assert stopped.child.stop() == 0
    left = [service for service in services if service is not stopped]
    until(lambda: {held(service) for service in left} == {1, 2})
    time.sleep(2)
    assert checks.compare() <= {"up", "unknown missed_window"}


def test_a_broker_that_is_away_for_a_while_costs_no_result(checks: Checks) -> None:
    """Checks go on, and what they found waits in the outbox, also over a crash."""
    first = checks.start("producer first")
    time.sleep(1)
    checks.pipeline.kafka.kill()
    until(lambda: first.metric("producer_results_unacknowledged") >= 6 * TARGETS)
    until(lambda: first.metric("producer_results_unsaved") < TARGETS)
    first.child.signal(signal.SIGKILL)
    first.child.wait()
    # What a busy machine had not saved yet; checks of before have waited in the outbox.
    before_ms = now_ms() - 3_000
    second = checks.start("producer second")
    until(lambda: held(second) == 1)
    time.sleep(2)
    checks.pipeline.kafka.start()
    assert checks.compare() <= {"up", "unknown missed_window"}
    measured = {status for (_, slot), status in checks.statuses().items() if checks.ready_ms <= slot < before_ms}
    assert measured == {"up"}


def test_a_database_that_is_away_stops_no_checks(checks: Checks) -> None:
    """At the start the producer waits for it; later it goes on, past its lease."""
    checks.pipeline.postgres.kill()
    producer = checks.pipeline.producer("producer")
    until(lambda: "targets cannot be read" in producer.child.last_lines(20))
    checks.pipeline.postgres.start()
    until(lambda: producer.get("/readyz") is not None)
    checks.ready_ms = now_ms()
    time.sleep(1)
    checks.pipeline.postgres.kill()
    until(lambda: "the lease has run out" in producer.child.last_lines(20))
    checks.pipeline.postgres.start()
    time.sleep(2)
    assert checks.compare() == {"up"}


def test_a_full_disk_under_the_outbox_costs_no_result(checks: Checks) -> None:
    """Results are in memory meanwhile, and the log says so, and when that is over."""
    with small_disk(checks.pipeline.directory / "outbox", 1) as disk:
        producer = checks.start("producer")
        fill(disk / "full")
        until(lambda: "the outbox cannot be written" in producer.child.last_lines(20))
        time.sleep(2)
        (disk / "full").unlink()
        until(lambda: "the outbox is written again" in producer.child.last_lines(20))
        time.sleep(1)
        assert checks.compare() == {"up"}


@needs_native
def test_a_thousand_websites_that_hang_hold_up_no_others(checks: Checks) -> None:
    """Half of 2,000 targets hang until their timeout: each is down, the others are up, and no slot is missed."""
    checks.targets, checks.interval_s = 2_000, 10
    checks.pipeline.monitor |= {"max_per_host": 1_000, "max_concurrent_checks": 1_000, "engine": "native"}
    checks.pipeline.monitor |= {"check_interval": "10s", "timeout": "4s", "websites_per_container": 2_000}
    table = f"{checks.pipeline.name}.availability_monitor_config"
    with socket.create_server(("127.0.0.1", 0), backlog=4_096) as hanging:
        with checks.pipeline.postgres.connect() as connection:
            connection.execute(
                f"INSERT INTO {table} (amc_url) SELECT (SELECT min(amc_url) FROM {table}) || n "
                "FROM generate_series(%s, 2000) n",
                (TARGETS + 1,),
            )
            connection.execute(
                f"UPDATE {table} SET amc_url = %s || amc_id WHERE amc_id %% 2 = 0",
                (f"http://127.0.0.1:{hanging.getsockname()[1]}/",),
            )
        checks.start("producer")
        time.sleep(22)
        assert checks.compare() == {"up", "down timeout"}
    for (target_id, slot), status in checks.statuses().items():
        if slot >= checks.ready_ms:
            assert status == ("up" if target_id % 2 else "down timeout")


def test_a_clock_that_goes_an_hour_ahead_and_back_costs_no_check(checks: Checks) -> None:
    """What it passes over is missed; what was missed while it was ahead is checked when it is really due."""
    clock = MachineClock(checks.pipeline.directory / "ahead")
    producer = checks.start("producer", env=clock.env)
    time.sleep(2)
    clock.set_ahead(3600)
    until(lambda: "the clock was set forward" in producer.child.last_lines(20))
    ahead_ms = now_ms() + 3_600_000
    checks.pipeline.until_stored(len(checks.due(ahead_ms)))
    clock.set_ahead(0)
    until(lambda: "the clock was set back" in producer.child.last_lines(20))
    back_ms = now_ms()
    time.sleep(3)
    end_ms = now_ms() - 1_000
    # When the clock was set back, checks of the lead were on their way already.
    latest_ms = back_ms + 3_600_000 + LEAD_MS
    assert checks.compare(ahead_ms, latest_ms) == {"up", "unknown missed_window"}
    real = {key for key, status in checks.statuses().items() if status == "up"}
    assert not {key for key in checks.due(end_ms) - real if key[1] >= back_ms}


def test_a_clock_that_goes_an_hour_back_stops_no_checks(checks: Checks) -> None:
    """Checks go on at the slots of the new time, and later at those of the old one."""
    clock = MachineClock(checks.pipeline.directory / "ahead")
    producer = checks.start("producer", env=clock.env)
    checks.began_ms -= 3_600_000
    time.sleep(2)
    clock.set_ahead(-3600)
    until(lambda: "the clock was set back" in producer.child.last_lines(20))
    behind_ms = now_ms() - 3_600_000
    until(lambda: any(behind_ms + 1_000 < slot < checks.began_ms + 1_800_000 for _, slot in checks.statuses()))
    clock.set_ahead(0)
    until(lambda: "the clock was set forward" in producer.child.last_lines(20))
    # Of the hour that it was behind, little was checked: all of it is accounted for.
    checks.pipeline.until_stored(TARGETS * 3600)
    assert checks.compare() == {"up", "unknown missed_window"}
