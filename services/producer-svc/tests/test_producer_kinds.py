"""A kind of check is one builder in one table."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from monitoring_core.config import ConfigError, EngineName, MonitorConfig
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.testing.builders import make_result, make_target
from monitoring_testkit.producer.engines import concrete_engines
from monitoring_testkit.producer.fakes.checks import FakeEngine
from producer_svc.check import Check, Origin
from producer_svc.checks import kinds
from producer_svc.checks.http.engines import chosen
from producer_svc.checks.http.requests_engine import RequestsEngine
from producer_svc.checks.routing import SLICE_S, RoutingEngine

if TYPE_CHECKING:
    from monitoring_testkit.websites import RawWebsite
    from producer_svc.ports import Engine

ORIGIN = Origin(7, "here")


class TcpEngine:
    """A second kind: whether a port takes a connection. Its checks are made while its results are drained."""

    lead_s = 0.0

    def __init__(self, config: MonitorConfig) -> None:
        self._submitted: list[tuple[Check, Origin]] = []
        self._places = config.max_concurrent_checks

    @property
    def free(self) -> int:
        return self._places - self.running

    @property
    def running(self) -> int:
        return len(self._submitted)

    def submit(self, check: Check, origin: Origin) -> None:
        self._submitted.append((check, origin))

    def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
        submitted, self._submitted = self._submitted, []
        return [self._connect(check, origin) for check, origin in submitted]

    def abandon(self) -> list[Check]:
        submitted, self._submitted = self._submitted, []
        return [check for check, _ in submitted]

    def _connect(self, check: Check, origin: Origin) -> CheckResult:
        host, _, port = check.target.url.removeprefix("tcp://").partition(":")
        try:
            socket.create_connection((host, int(port)), check.target.settings.timeout_s).close()
            reason = None
        except OSError:
            reason = Reason.CONNECTION_ERROR
        return make_result(
            target_id=check.target.id,
            scheduled_at=check.scheduled_at,
            location=origin.location,
            producer_id=origin.producer_id,
            reason=reason,
        )


def check(target_id: int, url: str) -> Check:
    return Check(make_target(id=target_id, url=url), 60_000, time.monotonic())


def drained(engine: Engine, count: int) -> dict[int, CheckResult]:
    """The results by target, when there are `count` of them."""
    found: dict[int, CheckResult] = {}
    deadline = time.monotonic() + 60
    while len(found) < count and time.monotonic() < deadline:
        found |= {result.target_id: result for result in engine.drain_finished(0.1)}
    return found


def hello(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


@pytest.mark.parametrize("name", concrete_engines())
def test_a_kind_is_added_by_one_line_in_the_table(
    name: EngineName, website: RawWebsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its results come out of the same port as those of websites, and say who checked."""
    monkeypatch.setitem(kinds.KINDS, "tcp", TcpEngine)
    engine = kinds.build_engine(MonitorConfig(engine=name))
    website.answer(hello)
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        engine.submit(check(1, website.url), ORIGIN)
        engine.submit(check(2, f"tcp://127.0.0.1:{listening.getsockname()[1]}"), ORIGIN)
        engine.submit(check(3, f"tcp://127.0.0.1:{refusing.getsockname()[1]}"), ORIGIN)
        assert engine.running == 3
        found = drained(engine, 3)
    assert {target_id: result.reason for target_id, result in found.items()} == {
        1: None,
        2: None,
        3: Reason.CONNECTION_ERROR,
    }
    assert {(result.producer_id, result.location) for result in found.values()} == {(7, "here")}
    assert found[1].http_status == 200
    assert engine.running == 0


def test_one_kind_needs_no_routing() -> None:
    """http and https share one engine, with no RoutingEngine in front of it."""
    assert isinstance(kinds.build_engine(MonitorConfig(engine=EngineName.REQUESTS)), RequestsEngine)


def test_kinds_share_the_places() -> None:
    """However many of each kind run, all together are no more than monitor.max_concurrent_checks."""
    websites, ports = FakeEngine(places=3, instant=False), FakeEngine(places=3, instant=False)
    engine = RoutingEngine({"http": websites, "https": websites, "tcp": ports}, 3)
    engine.submit(check(1, "http://a.example/"), ORIGIN)
    engine.submit(check(2, "https://a.example/"), ORIGIN)
    assert (engine.running, engine.free) == (2, 1)
    engine.submit(check(3, "tcp://a.example:25"), ORIGIN)
    assert (engine.running, engine.free) == (3, 0)
    assert ([c.target.id for c in websites.checks], [c.target.id for c in ports.checks]) == ([1, 2], [3])
    websites.instant = True
    assert sorted(result.target_id for result in engine.drain_finished(0.0)) == [1, 2]
    assert (engine.running, engine.free) == (1, 2)
    assert [abandoned.target.id for abandoned in engine.abandon()] == [3]
    assert (engine.running, engine.free) == (0, 3)


def test_kinds_share_the_shortest_lead() -> None:
    """No engine is given a check earlier than it allows."""
    engines = FakeEngine(lead_s=0.1), FakeEngine(lead_s=0.05)
    assert RoutingEngine({"http": engines[0], "tcp": engines[1]}, 10).lead_s == 0.05


@pytest.mark.parametrize("busy", [0, 1, 2])
def test_a_wait_ends_when_nothing_finishes(busy: int) -> None:
    """After the time that was given, whichever kinds have something running."""

    waited_s = 0.0

    class Waiting(FakeEngine):
        def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
            nonlocal waited_s
            waited_s += wait_s
            time.sleep(wait_s)
            return []

    engines = [Waiting(instant=False), Waiting(instant=False)]
    engine = RoutingEngine({"http": engines[0], "tcp": engines[1]}, 10)
    for number, kind in zip(range(busy), ("http", "tcp"), strict=False):
        engine.submit(check(number, f"{kind}://a.example/"), ORIGIN)
    began = time.monotonic()
    assert engine.drain_finished(0.05) == []
    assert time.monotonic() - began >= 0.05
    assert waited_s < 0.05 + 2 * SLICE_S


def test_a_wait_ends_with_the_first_result_of_any_kind() -> None:
    """A kind that has nothing to tell does not hold up another."""

    class Slow(FakeEngine):
        def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
            time.sleep(wait_s)
            return super().drain_finished(wait_s, enough)

    hanging, finishing = Slow(instant=False), Slow(instant=False)
    engine = RoutingEngine({"http": hanging, "tcp": finishing}, 10)
    engine.submit(check(1, "http://a.example/"), ORIGIN)
    engine.submit(check(2, "tcp://a.example:25"), ORIGIN)
    threading.Timer(0.03, lambda: setattr(finishing, "instant", True)).start()
    began = time.monotonic()
    (result,) = engine.drain_finished(120.0)
    assert (result.target_id, result.status) == (2, Status.UP)
    assert time.monotonic() - began < 60


def test_auto_is_native_where_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else requests, which runs anywhere; a name in the configuration is taken at its word."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert chosen(EngineName.AUTO) is EngineName.REQUESTS
    assert chosen(EngineName.NATIVE) is EngineName.NATIVE
    assert isinstance(kinds.build_engine(MonitorConfig()), RequestsEngine)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "probe_transport" else None)
    assert chosen(EngineName.AUTO) is EngineName.NATIVE


def test_an_engine_that_is_not_installed_is_named_with_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence, before anything is checked."""
    monkeypatch.setitem(sys.modules, "probe_transport", None)
    monkeypatch.delitem(sys.modules, "producer_svc.checks.http.native_engine", raising=False)
    with pytest.raises(ConfigError, match=r"native needs pip install 'producer-svc\[native\]'"):
        kinds.build_engine(MonitorConfig(engine=EngineName.NATIVE))
