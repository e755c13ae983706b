"""What the engine `native` does that no other engine does."""

from __future__ import annotations

import datetime as dt
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.result import Status
from monitoring_core.testing.builders import make_target
from monitoring_testkit.producer.engines import needs_native
from monitoring_testkit.waiting import until
from producer_svc.check import Check, Origin
from producer_svc.checks.kinds import build_engine

if TYPE_CHECKING:
    import socket

    from monitoring_core.result import CheckResult
    from monitoring_testkit.websites import RawWebsite
    from producer_svc.ports import Engine

pytestmark = [pytest.mark.integration_test, needs_native]

HERE = Path(__file__).parent
ORIGIN = Origin(3, "here")
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def native(places: int = 10) -> Engine:
    return build_engine(MonitorConfig(engine=EngineName.NATIVE, max_concurrent_checks=places))


def drain(engine: Engine, count: int) -> list[CheckResult]:
    """So many results, within a minute."""
    end = time.monotonic() + 60
    results: list[CheckResult] = []
    while len(results) < count and time.monotonic() < end:
        results += engine.drain_finished(0.1)
    return results


def test_a_check_that_is_submitted_early_begins_when_it_is_due(website: RawWebsite) -> None:
    """Its delay and its moments are those of the check, not of its submission."""
    website.answer(lambda connection, _: connection.sendall(PAGE))
    engine = native()
    assert engine.lead_s > 0
    submitted_at = dt.datetime.now(
        dt.UTC
    )  # before the monotonic clock, or the check would begin too early by this line
    # Far longer than its lead, so that no busy machine can be as late.
    early_s = 3.0
    engine.submit(Check(make_target(url=website.url), 0, time.monotonic() + early_s), ORIGIN)
    assert engine.drain_finished(0.1) == []
    (result,) = drain(engine, 1)
    assert result.status is Status.UP, result.error
    assert result.queue_delay_s is not None
    assert result.queue_delay_s < early_s - 0.5
    assert result.response_time_s is not None
    assert result.response_time_s < early_s - 0.5
    assert result.started_at is not None
    assert 0 <= (result.started_at - submitted_at).total_seconds() - early_s < early_s


def test_a_check_that_has_not_begun_takes_no_place(website: RawWebsite) -> None:
    """A lead must not cost what an engine can do; and no more checks run at once than there are places."""
    running = most = 0

    def act(connection: socket.socket, _: bytes) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(1.0)
        running -= 1
        connection.sendall(PAGE)

    website.answer(act)
    engine, due = native(places=2), time.monotonic() + 0.1
    assert engine.free == 2
    for number in range(1, 5):
        engine.submit(Check(make_target(id=number, url=website.url), 0, due), ORIGIN)
    assert (engine.running, engine.free) == (4, 0)
    results = drain(engine, 4)
    assert [result.status for result in results] == [Status.UP] * 4
    assert most == 2
    assert (engine.running, engine.free) == (0, 2)
    assert all((result.response_time_s or 9) < 1.9 for result in results)


def test_a_redirect_is_followed_while_the_loop_waits(website: RawWebsite) -> None:
    """The next hop must not wait for the loop: it would count as the website's time."""

    def act(connection: socket.socket, head: bytes) -> None:
        if head.startswith(b"GET /last"):
            connection.sendall(PAGE)
        else:
            location = b"/last" if head.startswith(b"GET /next") else b"/next"
            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")

    website.answer(act)
    engine = native()
    engine.submit(Check(make_target(url=website.url), 0, time.monotonic()), ORIGIN)
    (result,) = engine.drain_finished(9.0)
    assert (result.status, len(website.requests)) == (Status.UP, 3)
    assert result.response_time_s is not None
    assert result.response_time_s < 5.0


def test_targets_that_cannot_be_requested_end_beside_others(website: RawWebsite) -> None:
    """More of them than anybody waits for hold nothing up."""
    website.answer(lambda connection, _: connection.sendall(PAGE))
    engine = native()
    for number, url in enumerate(["http://*.example/", "http://.example/", website.url], 1):
        engine.submit(Check(make_target(id=number, url=url), 0, time.monotonic()), ORIGIN)
    results = drain(engine, 3)
    assert sorted((result.target_id, result.status) for result in results) == [
        (1, Status.UNKNOWN),
        (2, Status.UNKNOWN),
        (3, Status.UP),
    ]


def test_an_abandoned_check_is_never_drained(website: RawWebsite) -> None:
    """Its result may still come from the transport."""
    asked, abandoned, answered = (threading.Event() for _ in range(3))

    def late(connection: socket.socket, _: bytes) -> None:
        asked.set()
        abandoned.wait(60)
        connection.sendall(PAGE)
        answered.set()

    website.answer(late)
    engine = native()
    engine.submit(Check(make_target(url=website.url), 0, time.monotonic()), ORIGIN)
    until(lambda: engine.drain_finished(0.0) == [] and asked.is_set())
    assert len(engine.abandon()) == 1
    abandoned.set()
    assert answered.wait(60)
    assert engine.drain_finished(0.3) == []
    assert engine.running == 0


def test_a_timeout_while_the_prober_stood_still_is_its_own_fault(website: RawWebsite) -> None:
    """A process that was stopped in the middle of a check cannot tell whether the website was slow."""
    website.answer(lambda connection, _: website.closing.wait(60))
    program = (
        "from test_producer_native import ORIGIN, Check, drain, make_target, native, time\n"
        f"engine, target = native(), make_target(url={website.url!r}, timeout_s=4.0)\n"
        "engine.submit(Check(target, 0, time.monotonic()), ORIGIN)\n"
        "engine.drain_finished(0.1)\n"
        "print('begun', flush=True)\n"
        "(result,) = drain(engine, 1)\n"
        "print(result.reason, result.error)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=HERE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(4.5)  # longer than the check may take, which began before
        process.send_signal(signal.SIGCONT)
        assert re.fullmatch(r"prober_error the prober stood still for \d+\.\d s\n", process.stdout.read())


def test_a_host_is_not_asked_by_more_checks_than_it_may_be(website: RawWebsite) -> None:
    """However many of them are submitted early; those of other hosts do not wait for them."""
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    def act(connection: socket.socket, head: bytes) -> None:
        host = head.split(b"Host: ")[1].split(b":")[0].decode()
        running[host] += 1
        most[host] = max(most[host], running[host])
        time.sleep(0.05)
        running[host] -= 1
        connection.sendall(PAGE)

    website.answer(act)
    engine, due = build_engine(MonitorConfig(engine=EngineName.NATIVE, max_per_host=3)), time.monotonic() + 0.1
    for number in range(1, 16):
        engine.submit(Check(make_target(id=number, url=website.url), 0, due), ORIGIN)
    other = make_target(id=99, url=website.url.replace("127.0.0.1", "localhost"))
    engine.submit(Check(other, 0, due), ORIGIN)
    results = drain(engine, 16)
    assert [result.status for result in results] == [Status.UP] * 16
    assert most == {"127.0.0.1": 3, "localhost": 1}
    assert 99 in [result.target_id for result in results[:5]]
