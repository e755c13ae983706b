"""Whatever happens to it, every slot that a producer had to run ends as one row."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import attrs
import pytest

from monitoring_core.clock import to_ms
from monitoring_core.schedule import slots_between

from .conftest import fill, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local_stack.stack import Service

    from .conftest import Pipeline

pytestmark = pytest.mark.end_to_end

TARGETS = 20
ROUNDS = 5


@attrs.define
class Checks:
    """Targets of a website that answers, their producers, and what must be in the table at the end."""

    pipeline: Pipeline
    since_ms: int = 0
    began_ms: int = attrs.field(factory=lambda: time.time_ns() // 1_000_000)

    def start(self, name: str, producer_id: str = "1") -> Service:
        """Start a producer; from when the first one is ready, every slot counts."""
        service = self.pipeline.producer(name, producer_id)
        if not self.since_ms:
            service.wait_until_ready()
            self.since_ms = round(1_000 * service.metric("producer_accounted_since_seconds"))
        return service

    def statuses(self) -> dict[tuple[int, int], str]:
        with self.pipeline.postgres.connect() as connection:
            query = f"SELECT target_id, scheduled_at, status || coalesce(' ' || reason, '') FROM {self.pipeline.table}"
            return {(int(row[0]), to_ms(row[1])): str(row[2]) for row in connection.execute(query)}

    def compare(self) -> set[str]:
        """Stop the producers in order, and compare the rows with what was due; which verdicts there are."""
        end_ms = time.time_ns() // 1_000_000
        for name, service in self.pipeline.services.items():
            if name.startswith("producer") and service.child.status is None:
                assert service.child.stop() == 0, self.pipeline.logs()
        due = {
            (target_id, slot)
            for target_id in range(1, TARGETS + 1)
            for slot in slots_between(target_id, 1, self.since_ms, end_ms)
        }
        until(lambda: not due - self.statuses().keys(), 30, self.pipeline.logs())
        rows = self.statuses()
        assert len(due) >= 2 * TARGETS
        late_ms = time.time_ns() // 1_000_000
        assert all(self.began_ms <= slot <= late_ms for _, slot in rows.keys() - due), self.pipeline.logs()
        return set(rows.values())


def held(service: Service) -> float | None:
    """The ID that a producer holds, 0 while it stands by; None before it says anything."""
    return service.metric("producer_id") if service.get("/metrics") else None


@pytest.fixture
def checks(pipeline: Pipeline) -> Iterator[Checks]:
    class Fine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Fine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
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
                (f"http://127.0.0.1:{server.server_port}/", TARGETS),
            )
        pipeline.consumer()
        yield Checks(pipeline)
        server.shutdown()


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
    began = time.time_ns() // 1_000_000
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
    before_ms = time.time_ns() // 1_000_000 - 500
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


def test_websites_that_hang_hold_up_no_others(checks: Checks) -> None:
    """Half of the targets hang until their timeout: each is down, the others are up, and no slot is missed."""
    checks.pipeline.monitor |= {"max_per_host": 1_000, "max_concurrent_checks": 60}
    with socket.create_server(("127.0.0.1", 0), backlog=1_000) as hanging:
        with checks.pipeline.postgres.connect() as connection:
            connection.execute(
                f"UPDATE {checks.pipeline.name}.availability_monitor_config SET amc_url = %s || amc_id "
                "WHERE amc_id %% 2 = 0",
                (f"http://127.0.0.1:{hanging.getsockname()[1]}/",),
            )
        checks.start("producer")
        time.sleep(5)
        assert checks.compare() == {"up", "down timeout"}
    for (target_id, _), status in checks.statuses().items():
        assert status == ("up" if target_id % 2 else "down timeout")


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    if os.geteuid():
        if os.environ.get("CI"):
            pytest.fail("a disk of its own needs root")
        pytest.skip("a disk of its own needs root")
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)
