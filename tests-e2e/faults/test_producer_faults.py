"""Whatever happens to it, every slot that a producer had to run ends as one row."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from monitoring_core.clock import to_ms
from monitoring_core.schedule import slots_between
from monitoring_testkit.needs import cannot_run, need_root
from monitoring_testkit.waiting import until

from .conftest import fill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local_stack.processes import Service

    from .conftest import Pipeline

pytestmark = pytest.mark.end_to_end

TARGETS = 20
ROUNDS = 5
WEBSITE = Path(__file__).parents[1] / "benchmarks" / "quick_site.py"
FAKE_TIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@attrs.define
class Checks:
    """Targets of a website that answers, their producers, and what must be in the table at the end."""

    pipeline: Pipeline
    targets: int = TARGETS
    interval_s: int = 1
    since_ms: int = 0
    began_ms: int = attrs.field(factory=lambda: now_ms())

    def start(self, name: str, producer_id: str = "1", env: Mapping[str, str] | None = None) -> Service:
        """Start a producer; from when the first one is ready, every slot counts."""
        service = self.pipeline.producer(name, producer_id, env)
        if not self.since_ms:
            service.wait_until_ready()
            self.since_ms = round(1_000 * service.metric("producer_accounted_since_seconds"))
        return service

    def statuses(self) -> dict[tuple[int, int], str]:
        with self.pipeline.postgres.connect() as connection:
            query = f"SELECT target_id, scheduled_at, status || coalesce(' ' || reason, '') FROM {self.pipeline.table}"
            return {(int(row[0]), to_ms(row[1])): str(row[2]) for row in connection.execute(query)}

    def due(self, end_ms: int) -> set[tuple[int, int]]:
        """Every slot of every target until a moment."""
        return {
            (target_id, slot)
            for target_id in range(1, self.targets + 1)
            for slot in slots_between(target_id, self.interval_s, self.since_ms, end_ms)
        }

    def compare(self, end_ms: int | None = None, latest_ms: int | None = None) -> set[str]:
        """Stop the producers in order, and compare the rows with what was due; which verdicts there are.

        Args:
            end_ms: until when every slot was due, if not now.
            latest_ms: until when slots may have been due, if not until the producers have stopped.
        """
        end_ms = end_ms or now_ms()
        for name, service in self.pipeline.services.items():
            if name.startswith("producer") and service.child.status is None:
                assert service.child.stop() == 0, self.pipeline.logs()
        due = self.due(end_ms)
        until(lambda: not due - self.statuses().keys(), 30, self.pipeline.logs())
        rows = self.statuses()
        assert len(due) >= 2 * self.targets
        latest_ms = latest_ms or now_ms()
        assert all(self.began_ms <= slot <= latest_ms for _, slot in rows.keys() - due), self.pipeline.logs()
        return set(rows.values())


def held(service: Service) -> float | None:
    """The ID that a producer holds, 0 while it stands by; None before it says anything."""
    return service.metric("producer_id") if service.get("/metrics") else None


@pytest.fixture
def checks(pipeline: Pipeline) -> Iterator[Checks]:
    # In a process of its own: while the test is busy, the website is not slow.
    with subprocess.Popen([sys.executable, str(WEBSITE)], stdout=subprocess.PIPE, text=True) as website:
        assert website.stdout is not None
        url = f"http://127.0.0.1:{website.stdout.readline().strip()}/"
        pipeline.monitor = {
            "check_interval": "1s",
            "timeout": "800ms",
            "lease_duration": "2s",
            "refresh_interval": "1s",
        }
        pipeline.monitor["outbox_directory"] = str(pipeline.directory / "outbox")
        with pipeline.postgres.connect() as connection:
            connection.execute(
                f"INSERT INTO {pipeline.name}.availability_monitor_config (amc_url) "
                "SELECT %s || n FROM generate_series(1, %s) n",
                (url, TARGETS),
            )
        pipeline.consumer()
        yield Checks(pipeline)
        website.kill()


def test_a_producer_that_is_killed_at_any_moment(checks: Checks) -> None:
    """Five rounds; the next one accounts for what nobody ran, and sends what the last one had not."""
    for turn in range(ROUNDS):
        producer = checks.start(f"producer {turn}")
        until(lambda producer=producer: held(producer) == 1, what=checks.pipeline.logs())
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
    until(lambda: held(second) == 1, 5)
    time.sleep(2)
    assert checks.compare() == {"up", "unknown missed_window"}


def test_producers_that_choose_their_ids_share_the_targets(checks: Checks) -> None:
    """Two of three are needed; the third takes the place of one that stops."""
    checks.pipeline.monitor["websites_per_container"] = TARGETS // 2
    services = [checks.start(f"producer {number}", "auto") for number in range(3)]
    until(lambda: {held(service) for service in services} == {0, 1, 2})
    began = now_ms()
    time.sleep(2)
    stopped = next(service for service in services if held(service) == 1)
    assert stopped.child.stop() == 0
    left = [service for service in services if service is not stopped]
    until(lambda: {held(service) for service in left} == {1, 2})
    time.sleep(2)
    checks.since_ms = began
    assert checks.compare() <= {"up", "unknown missed_window"}


def test_a_broker_that_is_away_for_a_while_costs_no_result(checks: Checks) -> None:
    """Checks go on, and what they found waits in the outbox, also over a crash."""
    first = checks.start("producer first")
    time.sleep(1)
    checks.pipeline.kafka.kill()
    time.sleep(6)
    assert first.metric("producer_results_unacknowledged") >= 4 * TARGETS
    assert first.metric("producer_results_unsaved") < TARGETS
    first.child.signal(signal.SIGKILL)
    first.child.wait()
    before_ms = now_ms() - 500
    second = checks.start("producer second")
    until(lambda: held(second) == 1)
    time.sleep(2)
    checks.pipeline.kafka.start()
    assert checks.compare() <= {"up", "unknown missed_window"}
    measured = {status for (_, slot), status in checks.statuses().items() if slot < before_ms}
    assert measured == {"up"}


def test_a_database_that_is_away_stops_no_checks(checks: Checks) -> None:
    """At the start the producer waits for it; later it goes on, past its lease."""
    checks.pipeline.postgres.kill()
    producer = checks.pipeline.producer("producer")
    until(lambda: "targets cannot be read" in producer.child.last_lines(20))
    checks.pipeline.postgres.start()
    until(lambda: producer.get("/readyz") is not None)
    checks.since_ms = round(1_000 * producer.metric("producer_accounted_since_seconds"))
    time.sleep(1)
    checks.pipeline.postgres.kill()
    time.sleep(5)
    assert "the lease has run out" in producer.child.last_lines(20)
    checks.pipeline.postgres.start()
    time.sleep(2)
    assert checks.compare() == {"up"}


def test_a_full_disk_under_the_outbox_costs_no_result(checks: Checks) -> None:
    """Results are in memory meanwhile, and the log says so, and when that is over."""
    with small_disk(checks.pipeline.directory / "outbox") as disk:
        producer = checks.start("producer")
        fill(disk / "full")
        until(lambda: "the outbox cannot be written" in producer.child.last_lines(20))
        time.sleep(2)
        (disk / "full").unlink()
        until(lambda: "the outbox is written again" in producer.child.last_lines(20))
        time.sleep(1)
        assert checks.compare() == {"up"}


def test_a_thousand_websites_that_hang_hold_up_no_others(checks: Checks) -> None:
    """Half of 2,000 targets hang until their timeout: each is down, the others are up, and no slot is missed."""
    checks.targets, checks.interval_s = 2_000, 10
    checks.pipeline.monitor |= {"max_per_host": 1_000, "max_concurrent_checks": 1_000, "engine": "curl"}
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
    for (target_id, _), status in checks.statuses().items():
        assert status == ("up" if target_id % 2 else "down timeout")


@attrs.define
class MachineClock:
    """The wall clock of processes that are started with `env`, which can be set."""

    file: Path

    def __attrs_post_init__(self) -> None:
        if not FAKE_TIME.exists():
            cannot_run("setting the clock of a process needs libfaketime")
        self.set_ahead(0)

    @property
    def env(self) -> dict[str, str]:
        settings = {"TIMESTAMP_FILE": str(self.file), "NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
        return {"LD_PRELOAD": str(FAKE_TIME)} | {f"FAKETIME_{name}": value for name, value in settings.items()}

    def set_ahead(self, seconds: int) -> None:
        """Set it so far ahead of the true time."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        new.replace(self.file)


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
    assert checks.compare(ahead_ms, back_ms + 3_600_000) == {"up", "unknown missed_window"}
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
    time.sleep(3)
    during = {slot - behind_ms for _, slot in checks.statuses() if slot < checks.since_ms}
    assert max(during) > 1_000
    clock.set_ahead(0)
    until(lambda: "the clock was set forward" in producer.child.last_lines(20))
    # Of the hour that it was behind, little was checked: all of it is accounted for.
    checks.pipeline.until_stored(TARGETS * 3600)
    assert checks.compare() == {"up", "unknown missed_window"}


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    need_root("a disk of its own")
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)
