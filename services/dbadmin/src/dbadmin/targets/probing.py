"""Checking targets now, with the producer's own engines.

Services do not import each other, so the producer's command is run as a process. It reads the targets from a pipe: URLs
and headers may hold passwords, and every user can see command lines.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from monitoring_core.errors import StopError
from monitoring_core.result_lines import from_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitoring_core.config import EngineName, MonitorConfig
    from monitoring_core.result import CheckResult
    from monitoring_core.targets import CheckDefaults, TargetRecord

PROGRAM = "producer-svc"
_GRACE_S = 30.0


def probe(
    records: Sequence[TargetRecord],
    engine: EngineName,
    monitor: MonitorConfig,
    checked: Callable[[CheckResult], None] = lambda _: None,
) -> list[CheckResult]:
    """Check each record once, several at a time; returns the results in the order of the records.

    Args:
        checked: called with each result as soon as it is there.

    Raises:
        StopError: the producer is not installed, or its command fails.
    """
    program, defaults = _program(), monitor.defaults
    numbered = [attrs.evolve(record, id=number) for number, record in enumerate(records, start=1)]
    lines = "".join(json.dumps(_fields(record, defaults)) + "\n" for record in numbered)
    command = [program, "probe", "-", "--engine", engine]
    if monitor.client_certificate_directory:
        command += ["--client-certificate-directory", monitor.client_certificate_directory]
    timeout_s = sum(r.timeout_s or defaults.timeout_s for r in records) + _GRACE_S
    results: dict[int, CheckResult] = {}

    def take(line: str) -> None:
        try:
            result = from_line(line)
        except ValueError as error:
            raise StopError(f"{program} probe: a line is not a result: {error}") from None
        results[result.target_id] = result
        checked(result)

    status, complaint = _run(command, lines, timeout_s, take)
    if status not in (0, 1):
        raise StopError(f"{program} probe: {complaint or 'it failed'}")
    if len(results) != len(records):
        raise StopError(f"{program} probe: {complaint or 'a result is missing'}")
    return [results[number] for number in range(1, len(records) + 1)]


def _run(command: list[str], text: str, timeout_s: float, take: Callable[[str], None]) -> tuple[int, str]:
    """Run a command with `text` as its input; returns its status and the last line of its complaints.

    Args:
        take: called with each line that it prints, as soon as it is there.

    Raises:
        StopError: it did not end in time.
    """
    hung = threading.Event()

    def end() -> None:
        hung.set()
        run.kill()

    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, encoding="utf-8"
        ) as run,
    ):
        timer = threading.Timer(timeout_s, end)
        timer.start()
        try:
            assert run.stdin
            assert run.stdout
            # It reads all before it prints anything, so neither waits for the other.
            with contextlib.suppress(BrokenPipeError), run.stdin:
                run.stdin.write(text)
            for line in run.stdout:
                take(line)
            status = run.wait()
        finally:
            timer.cancel()
            run.kill()
        if hung.is_set():
            raise StopError(f"{command[0]} did not end within {timeout_s:.0f} s")
        complaints.seek(0)
        return status, _last_line(complaints.read())


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _fields(record: TargetRecord, defaults: CheckDefaults) -> dict[str, object]:
    """The fields of a record, and the configuration's defaults, which the program does not know."""
    fields = {name: value for name, value in attrs.asdict(record).items() if value is not None}
    if "check_interval_s" not in fields:
        fields.setdefault("timeout_s", defaults.timeout_s)
    fields.setdefault("expected_status", str(defaults.expected_status))
    # It changes no result, and may be longer than the default timeout.
    fields.pop("degraded_above_s", None)
    return fields


def _program() -> str:
    beside = Path(sys.executable).with_name(PROGRAM)
    program = str(beside) if beside.exists() else shutil.which(PROGRAM)
    if program is None:
        raise StopError(f"{PROGRAM} is not installed here, and makes the checks: pip install {PROGRAM}")
    return program
