"""The contracts of engines and canaries, on the fakes, on each engine and on sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import attrs
import pytest

from monitoring_core.clock import SystemClock
from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.result import Reason
from monitoring_core.targets import Target
from monitoring_core.testing.builders import make_target
from monitoring_testkit.producer.contracts.checks import PLACES, CanariesContract, EngineContract
from monitoring_testkit.producer.engines import concrete_engines, needs_native
from monitoring_testkit.producer.fakes.checks import FakeCanaries, FakeEngine
from monitoring_testkit.websites import RawWebsite, fine_website
from producer_svc.adapters.canaries import TcpCanaries
from producer_svc.check import Check, Origin
from producer_svc.checks.kinds import build_engine
from producer_svc.checks.routing import RoutingEngine
from producer_svc.ports import Engine


@attrs.frozen
class FakeChecks:
    """An engine without websites."""

    engine: FakeEngine

    def quick(self, target_id: int) -> Target:
        return make_target(id=target_id)

    def silent(self, target_id: int) -> Target:
        self.engine.instant = False
        return make_target(id=target_id)


class TestFakeEngine(EngineContract):
    """On the fake, with a lead and without one."""

    @pytest.fixture(params=[0.0, 0.05])
    def stage(self, request: pytest.FixtureRequest) -> FakeChecks:
        return FakeChecks(FakeEngine(PLACES, lead_s=request.param, clock=SystemClock()))


@attrs.frozen
class RealChecks:
    """An engine, and two websites of this machine."""

    engine: Engine
    quick_url: str
    silent_url: str

    def quick(self, target_id: int) -> Target:
        return make_target(id=target_id, url=self.quick_url)

    def silent(self, target_id: int, timeout_s: float = 30.0) -> Target:
        return make_target(id=target_id, url=self.silent_url, timeout_s=timeout_s)


def _engine(name: EngineName | None) -> Engine:
    """The engine of a name; without one, two engines behind one, as if there were two kinds of checks."""
    if name is None:
        return RoutingEngine({"http": _engine(EngineName.NATIVE), "https": _engine(EngineName.REQUESTS)}, PLACES)
    return build_engine(MonitorConfig(engine=name, max_concurrent_checks=PLACES))


@pytest.fixture(scope="module")
def fine_url() -> Iterator[str]:
    with fine_website() as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.mark.integration_test
class TestEngines(EngineContract):
    """On each engine, and on two behind one."""

    @pytest.fixture(params=[*concrete_engines(), pytest.param(None, marks=needs_native, id="both")])
    def stage(self, request: pytest.FixtureRequest, fine_url: str, website: RawWebsite) -> Iterator[RealChecks]:
        website.answer(lambda _socket, _head: website.closing.wait(60))
        engine = _engine(request.param)
        yield RealChecks(engine, fine_url, website.url)
        engine.abandon()

    def test_a_check_ends_within_its_timeout(self, stage: RealChecks) -> None:
        """Its website never answers."""
        origin = Origin(7, "here")
        stage.engine.submit(Check(stage.silent(1, 0.3), 60_000, time.monotonic()), origin)
        began = time.monotonic()
        (result,) = stage.engine.drain_finished(30.0)
        assert (result.target_id, result.reason) == (1, Reason.TIMEOUT)
        assert time.monotonic() - began < 20


@attrs.define
class FakeHosts:
    """Hosts whose answer the fake gives."""

    canaries: FakeCanaries = attrs.field(factory=FakeCanaries)
    listening: bool = False

    def listen(self) -> None:
        self.listening = True

    def end_round(self) -> None:
        self.canaries.answer = self.listening


class TestFakeCanaries(CanariesContract):
    """On the fake."""

    @pytest.fixture
    def stage(self) -> FakeHosts:
        return FakeHosts()


@attrs.frozen
class RealHosts:
    """Two ports of this machine."""

    one: socket.socket
    other: socket.socket
    canaries: TcpCanaries

    def listen(self) -> None:
        self.one.listen()

    def end_round(self) -> None:
        """It ends by itself."""


@pytest.mark.integration_test
class TestTcpCanaries(CanariesContract):
    """On sockets."""

    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealHosts]:
        monkeypatch.setattr("producer_svc.adapters.canaries.MIN_ROUND_S", 1.0)
        with socket.socket() as one, socket.socket() as other:
            for each in (one, other):
                each.bind(("127.0.0.1", 0))
            yield RealHosts(one, other, TcpCanaries([other.getsockname(), one.getsockname()]))
