"""Checking targets now, with the producer's own engines.

Services do not import each other, so the producer's command is run as a process. It reads the targets from a pipe: URLs
and headers may hold passwords, and every user can see command lines.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from monitoring_core.errors import StopError
from monitoring_core.result_lines import from_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_core.config import EngineName, MonitorConfig
    from monitoring_core.result import CheckResult
    from monitoring_core.targets import TargetRecord

PROGRAM = "producer-svc"
_GRACE_S = 30.0


def probe(records: Sequence[TargetRecord], engine: EngineName, monitor: MonitorConfig) -> list[CheckResult]:
    """Check each record once, several at a time; returns the results in the order of the records.

    Raises:
        StopError: the producer is not installed, or its command fails.
    """
    program, default_s = _program(), monitor.timeout.total_seconds()
    numbered = [attrs.evolve(record, id=number) for number, record in enumerate(records, start=1)]
    lines = "".join(json.dumps(_fields(record, default_s)) + "\n" for record in numbered)
    command = [program, "probe", "-", "--engine", engine]
    if monitor.client_certificate_directory:
        command += ["--client-certificate-directory", monitor.client_certificate_directory]
    done = _run(command, lines, sum(r.timeout_s or default_s for r in records))
    if done.returncode not in (0, 1):
        raise StopError(f"{program} probe: {_last_line(done.stderr) or 'it failed'}")
    try:
        results = {result.target_id: result for result in map(from_line, done.stdout.splitlines())}
    except ValueError as error:
        raise StopError(f"{program} probe: a line is not a result: {error}") from None
    if len(results) != len(records):
        raise StopError(f"{program} probe: {_last_line(done.stderr) or 'a result is missing'}")
    return [results[number] for number in range(1, len(records) + 1)]


def _run(command: list[str], lines: str, checks_s: float) -> subprocess.CompletedProcess[str]:
    timeout_s = checks_s + _GRACE_S
    try:
        return subprocess.run(command, input=lines, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise StopError(f"{command[0]} did not end within {timeout_s:.0f} s") from None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _fields(record: TargetRecord, default_s: float) -> dict[str, object]:
    fields = {name: value for name, value in attrs.asdict(record).items() if value is not None}
    if "check_interval_s" not in fields:
        fields.setdefault("timeout_s", default_s)
    return fields


def _program() -> str:
    beside = Path(sys.executable).with_name(PROGRAM)
    program = str(beside) if beside.exists() else shutil.which(PROGRAM)
    if program is None:
        raise StopError(f"{PROGRAM} is not installed here, and makes the checks: pip install {PROGRAM}")
    return program
