"""Checking targets now, by a program that fails in every way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbadmin.targets import probing
from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.errors import StopError
from monitoring_core.targets import TargetRecord

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo 'bad configuration' >&2; exit 2", "{} probe: bad configuration"),
        ("exit 3", "{} probe: it failed"),
        ("echo 'no engine' >&2; exit 0", "{} probe: no engine"),
        ("exit 1", "{} probe: a result is missing"),
        ("exec sleep 30", "{} did not end within 0 s"),
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
    monkeypatch.setattr(probing, "_GRACE_S", 0.1)
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
