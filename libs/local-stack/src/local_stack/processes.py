"""Programs as child processes: started with a log, queried over HTTP, stopped in order."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from local_stack.guardian import pid_file
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Mapping

READY_S = 90.0
_STOP_S = 40.0


def free_port() -> int:
    """A TCP port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def script(name: str) -> str:
    """The console script of a service, beside this Python or on the path.

    Raises:
        StopError: the service is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise StopError(f"{name} is not installed")
    return found


def last_lines(log: Path, count: int = 5) -> str:
    """The last `count` lines of a log in which something is written."""
    return "\n".join([line for line in log.read_text(errors="replace").splitlines() if line.strip()][-count:])


class Child:
    """A process in a session of its own, so that Ctrl-C in the terminal does not reach it directly."""

    def __init__(self, name: str, command: list[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        """Start the command with the variables of `env` added to the environment; its output is appended to `log`.

        A file beside the log has its process id as long as it runs, for the guardian.
        """
        self.name = name
        self._log = log
        self._pid_file = pid_file(log)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                # The process itself writes the file: this one may be killed at any moment.
                ["/bin/sh", "-c", 'echo $$ > "$0"; exec "$@"', str(self._pid_file), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | dict(env or {}),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        status = self._process.poll()
        if status is not None:
            self._pid_file.unlink(missing_ok=True)
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.status is None:
            self._process.send_signal(number)

    def stop(self, timeout_s: float = _STOP_S) -> int:
        """Send SIGTERM, and SIGKILL if the process has not ended after `timeout_s`; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = _STOP_S) -> int:
        """Wait for the process to end, and send SIGKILL if it has not after `timeout_s`; returns the exit status.

        Before SIGKILL it gets SIGUSR1, at which our services write to the log what each thread is doing.
        """
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGUSR1)
            time.sleep(1)
            return self.kill()
        return self.status or 0

    def kill(self) -> int:
        """Send SIGKILL; returns the exit status."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        return self.status or 0

    def last_lines(self, count: int = 5) -> str:
        """The last `count` lines of the log."""
        return last_lines(self._log, count)


@attrs.define
class Service:
    """A service as a process of its own, with its HTTP endpoint on a port of this machine."""

    child: Child
    port: int

    def get(self, path: str) -> str | None:
        """The body of a page of the endpoint; None while nothing answers, or the status is an error."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def wait_until_ready(self) -> None:
        """Wait until /readyz answers that the service is ready.

        Raises:
            StopError: the service ended, or is not ready in time; the text holds the last lines of its log.
        """
        deadline = time.monotonic() + READY_S
        while self.get("/readyz") is None:
            if self.child.status is not None or time.monotonic() > deadline:
                raise StopError(
                    f"{self.child.name} is not ready (status {self.child.status}):\n{self.child.last_lines()}"
                )
            time.sleep(0.05)

    def metric(self, name: str) -> float:
        """The value of a metric without labels.

        Raises:
            StopError: the service has no such metric.
        """
        for line in (self.get("/metrics") or "").splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise StopError(f"{self.child.name} has no metric {name}")
