"""The log as people read it, and an endpoint that is off or gets nonsense from clients."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator

import attrs
import pytest
import structlog
from prometheus_client import CollectorRegistry

from monitoring_core.config import LoggingConfig, MetricsConfig
from monitoring_core.config.logging import LogFormat, LogLevel
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.endpoint import Endpoint
from monitoring_runtime.health import Health
from monitoring_runtime.logs import configure_logging
from monitoring_runtime.memory import collect_garbage_seldom
from monitoring_runtime.retry import Backoff
from monitoring_runtime.stop import Stop


@attrs.frozen
class Written:
    """What a process has written."""

    stdout: str
    stderr: str


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[LoggingConfig], Written]]:
    """Configure the log, and write a line of each level."""

    def written(config: LoggingConfig) -> Written:
        configure_logging(config, "a-service")
        for level in ("debug", "info", "warning", "error"):
            getattr(structlog.get_logger(), level)("said", n=1)
        return Written(*capsys.readouterr())

    before = structlog.get_config()
    yield written
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def test_people_get_lines_without_braces_or_colours_in_a_file(logged: Callable[[LoggingConfig], Written]) -> None:
    """Standard output is left to the command's own output."""
    done = logged(LoggingConfig(format=LogFormat.CONSOLE))
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 3
    assert "said" in done.stderr
    assert "n=1" in done.stderr
    assert "{" not in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(("level", "lines"), [(LogLevel.DEBUG, 4), (LogLevel.WARNING, 2), (LogLevel.ERROR, 1)])
def test_what_is_less_severe_than_the_level_is_not_written(
    level: LogLevel, lines: int, logged: Callable[[LoggingConfig], Written]
) -> None:
    """The setting names the least severe level that is written."""
    assert len(logged(LoggingConfig(level=level, format=LogFormat.JSON)).stderr.splitlines()) == lines


def test_an_endpoint_that_is_off_listens_nowhere() -> None:
    """The rest of the service works as ever."""
    with Endpoint(MetricsConfig(enabled=False), CollectorRegistry(), Health()) as endpoint:
        assert endpoint.port is None


def test_the_endpoint_outlives_clients_that_talk_nonsense_or_go_away(capfd: pytest.CaptureFixture[str]) -> None:
    """Each gets an answer or none, the next client gets its own, and the log stays quiet."""
    with Endpoint(MetricsConfig(host="127.0.0.1", port=0), CollectorRegistry(), Health()) as endpoint:
        address = ("127.0.0.1", endpoint.port or 0)
        for nonsense in (b"\x16\x03\x01\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"POST /metrics HTTP/1.0\r\n\r\n", b""):
            with socket.create_connection(address, timeout=60) as client:
                client.sendall(nonsense)
        with socket.create_connection(address, timeout=60) as client:
            client.sendall(b"GET /healthz?verbose HTTP/1.0\r\n\r\n")
            assert client.recv(65_536).startswith(b"HTTP/1.0 200 ")
    assert capfd.readouterr().err == ""


def test_a_client_that_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client does not occupy a thread of the service for ever."""
    monkeypatch.setattr("monitoring_runtime.endpoint._Handler.timeout", 0.02)
    with (
        Endpoint(MetricsConfig(host="127.0.0.1", port=0), CollectorRegistry(), Health()) as endpoint,
        socket.create_connection(("127.0.0.1", endpoint.port or 0), timeout=60) as client,
    ):
        assert client.recv(1) == b""


def test_a_loop_counts_as_dead_only_after_the_time_that_an_iteration_may_take() -> None:
    """A minute, unless the process allows another time; an iteration that begins makes it alive again."""
    clock = FakeClock()
    health, patient = Health(clock=clock), Health(90.0, clock)
    clock.advance(60)
    assert health.liveness() == (True, "ok")
    clock.advance(0.001)
    assert health.liveness() == (False, "the loop has not turned for 60 s")
    clock.advance(29.9)
    assert patient.liveness() == (True, "ok")
    health.beat()
    assert health.liveness() == (True, "ok")


def test_a_process_says_why_it_is_not_ready() -> None:
    """Readiness answers with the last reason given."""
    health = Health()
    health.set_ready()
    health.set_not_ready("PostgreSQL is away")
    assert health.readiness() == (False, "PostgreSQL is away")
    assert health.liveness() == (True, "ok")


def test_a_service_that_makes_many_objects_hardly_looks_for_cycles_among_them() -> None:
    """The objects of its start are never looked at again."""
    collections: list[str] = []

    def note(phase: str, _info: dict[str, int]) -> None:
        collections.append(phase)

    before = gc.get_threshold()
    gc.callbacks.append(note)
    try:
        collect_garbage_seldom()
        collections.clear()
        kept = [[number] for number in range(45_000)]
        assert collections == []
        assert gc.get_freeze_count() > 0
        kept += [[number] for number in range(10_000)]
        assert "start" in collections
    finally:
        gc.callbacks.remove(note)
        gc.unfreeze()
        gc.set_threshold(*before)


def test_delays_of_many_processes_are_not_the_same() -> None:
    """Processes that lost the same server do not come back at the same moment."""
    assert len({Backoff().next() for _ in range(20)}) > 1


def test_a_wait_ends_when_the_stop_is_requested() -> None:
    """No delay holds up a stop."""
    stop = Stop()
    assert stop.wait(0) is False
    stop.request()
    assert stop.wait(3_600) is True
    assert stop.requested
