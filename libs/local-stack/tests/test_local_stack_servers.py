"""The servers on this machine, and what is said when one cannot start."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from local_stack.servers import embedded_broker, embedded_postgresql
from monitoring_core.errors import StopError


def test_a_folder_too_deep_for_a_socket_is_refused_with_the_mend(tmp_path: Path) -> None:
    """PostgreSQL's own error would not say what to do."""
    with pytest.raises(StopError, match="choose a folder of a shorter one"), embedded_postgresql(tmp_path / ("a" * 90)):
        pass


@pytest.mark.parametrize("sign", [" ", "$", "'", ";", ",", "=", "%", "*"])
def test_a_folder_with_a_sign_that_a_shell_would_take_is_refused(tmp_path: Path, sign: str) -> None:
    """The package that starts PostgreSQL quotes nothing: it would start with another folder, or not at all."""
    said = f"has {sign!r} in its path, which the embedded PostgreSQL cannot take"
    with pytest.raises(StopError) as caught, embedded_postgresql(tmp_path / f"my{sign}data" / "postgres"):
        pass
    assert said in str(caught.value)


def test_a_folder_that_postgresql_cannot_use_is_said_once_with_its_reason(capfd: pytest.CaptureFixture[str]) -> None:
    """As when the first start was killed halfway: what the package writes about it is not shown beside."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "postgres"
        directory.mkdir()
        (directory / "PG_VERSION").write_text("18\n")
        with pytest.raises(StopError) as caught, embedded_postgresql(directory):
            pass
        said = str(caught.value).splitlines()
        assert said[0] == f"PostgreSQL does not start in {directory}:"
        assert "No such file or directory" in said[-1]
        assert len(said) <= 6
        assert capfd.readouterr().err == ""


@pytest.mark.integration_test
def test_the_broker_needs_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is missing or read-only, as in a container; and nothing is written there."""
    monkeypatch.setenv("HOME", "/proc/nothing")
    with embedded_broker(tmp_path) as address:
        assert address.startswith("127.0.0.1:")
