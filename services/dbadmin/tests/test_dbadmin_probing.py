"""Checking targets now, by a program that fails in every way."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from dbadmin.commands.progress import check_progress
from dbadmin.targets import probing
from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.errors import StopError
from monitoring_core.result import Reason, Status
from monitoring_core.result_lines import to_line
from monitoring_core.targets import TargetRecord
from monitoring_core.testing.builders import make_result

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_core.result import CheckResult


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo 'bad configuration' >&2; exit 2", "{} probe: bad configuration"),
        ("exit 3", "{} probe: it failed"),
        ("echo 'no engine' >&2; exit 0", "{} probe: no engine"),
        ("exit 1", "{} probe: a result is missing"),
        ("exec sleep 300", "{} did not end within 0 s"),
    ],
)
def test_a_producer_that_fails_is_said_in_one_line(
    script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line quotes the last line of its output, if any; a program that hangs is ended."""
    program = tmp_path / "producer-svc"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr(probing, "_GRACE_S", 0.1 if "sleep" in script else 60.0)
    with pytest.raises(StopError) as caught:
        probing.probe([TargetRecord(url="http://a/", timeout_s=0.3)], EngineName.NATIVE, MonitorConfig())
    assert str(caught.value) == said.format(program)


def test_a_line_that_is_no_result_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer of another release may print another format."""
    program = tmp_path / "producer-svc"
    program.write_text("#!/bin/sh\necho nonsense\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(StopError, match="probe: a line is not a result: "):
        probing.probe([TargetRecord(url="http://a/")], EngineName.NATIVE, MonitorConfig())


def test_each_result_is_told_as_soon_as_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who waits for a hundred checks sees how far they are; a complaint beside good results is none."""
    results = [make_result(target_id=number) for number in (2, 1)]
    first, second = map(to_line, results)
    program = tmp_path / "producer-svc"
    program.write_text(
        f"#!/bin/sh\ncat > /dev/null\necho careful >&2\necho '{first}'\n"
        f"while [ ! -e {tmp_path}/told ]; do sleep 0.01; done\necho '{second}'\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    told: list[int] = []

    def checked(result: CheckResult) -> None:
        told.append(result.target_id)
        (tmp_path / "told").touch()

    records = [TargetRecord(url="http://a/"), TargetRecord(url="http://b/")]
    found = probing.probe(records, EngineName.NATIVE, MonitorConfig(), checked)
    assert (told, [result.target_id for result in found]) == ([2, 1], [1, 2])


def test_progress_shows_how_many_are_done() -> None:
    """On a terminal alone."""
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
        with check_progress(7, console) as checked:
            checked(make_result())
            checked(make_result(status=Status.DOWN, reason=Reason.TIMEOUT))
        assert ("2 of 7 checked, 1 not up" in console.file.getvalue()) is terminal  # type: ignore[attr-defined]
