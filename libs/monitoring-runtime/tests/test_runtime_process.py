"""The log as people read it, and an endpoint that is off or that somebody talks nonsense to."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry

from monitoring_core.config import LoggingConfig, MetricsConfig
from monitoring_core.config.logging import LogFormat, LogLevel
from monitoring_runtime.endpoint import Endpoint
from monitoring_runtime.health import Health
from monitoring_runtime.retry import Backoff
from monitoring_runtime.stop import Stop


def logged(config: LoggingConfig) -> subprocess.CompletedProcess[str]:
    program = (
        "import structlog\nfrom monitoring_core.config import LoggingConfig\n"
        "from monitoring_core.config.logging import LogFormat, LogLevel\n"
        "from monitoring_runtime.logs import configure_logging\n"
        f"configure_logging(LoggingConfig(level=LogLevel({str(config.level)!r}), "
        f"format=LogFormat({str(config.format)!r})), 'a-service')\n"
        "for level in ('debug', 'info', 'warning', 'error'):\n    getattr(structlog.get_logger(), level)('said', n=1)\n"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


def test_people_get_lines_without_braces_or_colours_in_a_file() -> None:
    """Standard output is left to what the command has to say."""
    done = logged(LoggingConfig(format=LogFormat.CONSOLE))
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 3
    assert "said" in done.stderr
    assert "n=1" in done.stderr
    assert "{" not in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(("level", "lines"), [(LogLevel.DEBUG, 4), (LogLevel.WARNING, 2), (LogLevel.ERROR, 1)])
def test_what_is_less_severe_than_the_level_is_not_written(level: LogLevel, lines: int) -> None:
    """The setting names the least severe level that is."""
    assert len(logged(LoggingConfig(level=level, format=LogFormat.JSON)).stderr.splitlines()) == lines


def test_an_endpoint_that_is_off_listens_nowhere() -> None:
    """The rest of the service does not care."""
    with Endpoint(MetricsConfig(enabled=False), CollectorRegistry(), Health()) as endpoint:
        assert endpoint.port is None


def test_the_endpoint_outlives_clients_that_talk_nonsense_or_go_away(capfd: pytest.CaptureFixture[str]) -> None:
    """They get their answer or none, the next one gets its own, and the log stays quiet."""
    with Endpoint(MetricsConfig(host="127.0.0.1", port=0), CollectorRegistry(), Health()) as endpoint:
        address = ("127.0.0.1", endpoint.port or 0)
        for nonsense in (b"\x16\x03\x01\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"POST /metrics HTTP/1.0\r\n\r\n", b""):
            with socket.create_connection(address, timeout=5) as client:
                client.sendall(nonsense)
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(b"GET /healthz?verbose HTTP/1.0\r\n\r\n")
            assert client.recv(65_536).startswith(b"HTTP/1.0 200 ")
    assert capfd.readouterr().err == ""


def test_a_process_says_why_it_is_not_ready() -> None:
    """The line that readiness answers with is the reason last given."""
    health = Health()
    health.set_ready()
    health.set_not_ready("PostgreSQL is away")
    assert health.readiness() == (False, "PostgreSQL is away")
    assert health.liveness() == (True, "ok")


def test_delays_of_many_processes_are_not_the_same() -> None:
    """Those that lost the same server do not come back at the same moment."""
    assert len({Backoff().next() for _ in range(20)}) > 1


def test_a_wait_ends_when_the_stop_is_requested() -> None:
    """No delay holds up a stop."""
    stop = Stop()
    assert stop.wait(0) is False
    stop.request()
    assert stop.wait(3_600) is True
    assert stop.requested
