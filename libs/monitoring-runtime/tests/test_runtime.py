"""What every process counts on: endpoint, stop, back-off, log, exit status."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import click
import pytest
import structlog
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, Counter

from monitoring_core.config import ConfigError, Fault, MetricsConfig
from monitoring_core.errors import StopError
from monitoring_runtime.background import in_background
from monitoring_runtime.endpoint import Endpoint
from monitoring_runtime.groups import MonitoringGroup
from monitoring_runtime.health import Health
from monitoring_runtime.retry import Backoff


def get(port: int | None, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_endpoint_says_how_the_process_is() -> None:
    """Metrics, liveness and readiness, each with its status and one line."""
    registry, health = CollectorRegistry(), Health()
    Counter("things", "Things.", registry=registry).inc(3)
    with Endpoint(MetricsConfig(host="127.0.0.1", port=0), registry, health) as endpoint:
        assert "things_total 3.0" in get(endpoint.port, "/metrics")[1]
        assert get(endpoint.port, "/healthz") == (200, "ok\n")
        assert get(endpoint.port, "/readyz") == (503, "starting\n")
        health.set_ready()
        assert get(endpoint.port, "/readyz") == (200, "ok\n")
        assert get(endpoint.port, "/nothing")[0] == 404


def test_a_loop_that_does_not_turn_is_not_alive() -> None:
    """A process that hangs shows."""
    assert Health(max_beat_age_s=-1.0).liveness()[0] is False


def test_a_port_that_is_taken_ends_with_one_plain_line() -> None:
    """It names the address and the setting that mends it."""
    with Endpoint(MetricsConfig(host="127.0.0.1", port=0), CollectorRegistry(), Health()) as first:
        taken = Endpoint(MetricsConfig(host="127.0.0.1", port=first.port or 0), CollectorRegistry(), Health())
        with pytest.raises(StopError, match=rf"cannot listen on 127\.0\.0\.1:{first.port}: .*metrics\.port"):
            taken.__enter__()


def test_delays_double_up_to_the_maximum_with_jitter() -> None:
    """Each is drawn from the upper half of its ceiling, and a success begins again."""
    backoff = Backoff(initial_s=1.0, maximum_s=8.0)
    for ceiling in (1, 2, 4, 8, 8):
        assert ceiling / 2 <= backoff.next() <= ceiling
    backoff.reset()
    assert backoff.next() <= 1.0


LOOP = """
import sys
from monitoring_runtime.stop import stop_on_signals
with stop_on_signals() as stop:
    print("running", flush=True)
    stop.wait(300)
    print("stopping", flush=True)
    if "slow" in sys.argv:
        import time
        # In pieces: a signal that comes just before a sleep begins is handled only when that has ended.
        for _ in range(6_000):
            time.sleep(0.05)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_stops_in_order(number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C let the process end by itself."""
    process = subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "running\n"
    process.send_signal(number)
    assert process.communicate(timeout=120)[0] == "stopping\n"
    assert process.returncode == 0


INTERRUPTED = """
import os, signal, sys
from monitoring_runtime.stop import stop_on_signals

def signal_at(line):
    left = line
    def trace(frame, event, argument):
        nonlocal left
        left -= event == "line"
        if not left:
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGTERM)
        return trace
    with stop_on_signals() as stop:
        sys.settrace(trace)
        stop.wait(0.001)
        sys.settrace(None)
        return stop.requested

line = 1
while signal_at(line):
    line += 1
print(line)
"""


def test_a_signal_is_heard_whichever_line_of_the_wait_it_interrupts() -> None:
    """No wait may take a lock, because a signal may interrupt the code that holds it."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, timeout=60, capture_output=True, text=True)
    assert int(done.stdout) > 3


ELSEWHERE = """
import signal, threading, time
from monitoring_runtime.stop import stop_on_signals
with stop_on_signals() as stop:
    threading.Timer(0.05, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
    began = time.monotonic()
    print(stop.wait(300), time.monotonic() - began < 200)
"""


def test_a_signal_is_heard_that_does_not_interrupt_the_wait_itself() -> None:
    """The system may give it to another thread, or just before the wait begins: nothing interrupts the wait then."""
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], check=True, timeout=400, capture_output=True, text=True)
    assert done.stdout == "True True\n"


def test_the_second_signal_stops_at_once() -> None:
    """A second request means that nobody wants to wait."""
    process = subprocess.Popen([sys.executable, "-c", LOOP, "slow"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "running\n"
    process.terminate()
    assert process.stdout.readline() == "stopping\n"
    process.terminate()
    assert process.wait(60) == 1


def test_the_log_is_one_json_object_a_line() -> None:
    """Machines read the log, and every line says which service wrote it."""
    program = (
        "import structlog\nfrom monitoring_core.config import LoggingConfig\n"
        "from monitoring_runtime.logs import configure_logging\n"
        "configure_logging(LoggingConfig(), 'a-service')\nstructlog.get_logger().warning('said', count=1)\n"
        "structlog.get_logger().debug('not said')\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    line = json.loads(said)
    assert (line["event"], line["count"], line["level"], line["service"]) == ("said", 1, "warning", "a-service")


ERRORS = {
    "configuration": (ConfigError([Fault("c.yaml:1", "a.b", "is wrong")]), 2, "c.yaml:1 a.b: is wrong\n"),
    "stop": (StopError("it cannot go on"), 1, "it cannot go on\n"),
    "unexpected": (
        KeyError("x"),
        1,
        "internal error: KeyError: 'x' (set MONITORING_DEBUG=1 for the traceback)\n",
    ),
    "usage": (click.UsageError("not so"), 2, None),
}


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_ends_with_its_status_and_no_traceback(name: str) -> None:
    """2 for usage and configuration, 1 for anything else, and a plain line."""
    error, status, said = ERRORS[name]

    @click.group(cls=MonitoringGroup)
    def main() -> None:
        pass

    @main.command()
    def fail() -> None:
        raise error

    run = CliRunner().invoke(main, ["fail"])
    assert run.exit_code == status
    assert "Traceback" not in run.output
    assert said is None or run.output == said


def test_a_signal_tells_what_each_thread_is_doing() -> None:
    """This is how an operator finds out why a process hangs."""
    process = subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGUSR1)
    assert process.stderr
    assert process.stderr.readline().startswith("Current thread")
    # Whether the thread waits already or not, the program is its outermost frame.
    frames = iter(process.stderr.readline, "")
    assert next(frame for frame in frames if 'File "<string>"' in frame).endswith(" in <module>\n")
    process.terminate()
    process.communicate(timeout=120)


def test_work_in_the_background_gives_its_result_its_error_and_no_delay_at_the_end() -> None:
    """A process ends even when the work does not, and the work has the log's bound values."""
    with structlog.contextvars.bound_contextvars(producer_id=3):
        assert in_background("a", structlog.contextvars.get_contextvars).result(60) == {"producer_id": 3}
    with pytest.raises(ZeroDivisionError):
        in_background("b", lambda: 1 // 0).result(60)
    program = (
        "import time\nfrom monitoring_runtime.background import in_background\n"
        "in_background('c', lambda: time.sleep(600))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
