"""alerts.yaml while alert-svc runs: what changes holds, and what is faulty is told once and holds nothing up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

from alert_svc.notify.alerts_file import AlertsFile
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from pathlib import Path

    from alert_svc.notify.settings import Notifications

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
POLICIES = "policies:\n  - {name: website-down, kind: down}\n"
OTHER_POLICIES = "policies:\n  - {name: shop-down, kind: down}\n"
HOOK = "channels:\n  - {{name: {}, type: webhook, url: 'https://example.org/', secret: {{file: {}}}}}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET)
    made = tmp_path / "alerts.yaml"
    made.write_text(POLICIES + HOOK.format("ops", tmp_path / "secret"))
    return made


def names(file: AlertsFile) -> list[str]:
    return [policy.name for policy in file.policies.all] + [channel.name for channel in file.notifications.channels]


def fault(file: AlertsFile) -> str | None:
    return file.fault


def test_policies_and_channels_are_those_of_the_file(path: Path, tmp_path: Path) -> None:
    """Each is handed over when it has changed, and only then."""
    file, used = AlertsFile(path), list[list[str]]()
    file.follow(lambda made: used.append([channel.name for channel in made.channels]))
    assert not file.changed()
    path.write_text(OTHER_POLICIES + HOOK.format("ops", tmp_path / "secret"))
    assert file.changed()
    assert not file.changed()
    assert used == []
    path.write_text(OTHER_POLICIES + HOOK.format("boss", tmp_path / "secret"))
    assert not file.changed()
    assert used == [["boss"]]
    assert names(file) == ["shop-down", "boss"]


@pytest.mark.parametrize("bad", [POLICIES + "channels: 7\n", "policies: 7\n", "{", None])
def test_a_faulty_file_is_told_once_and_what_it_said_before_goes_on(path: Path, bad: str | None) -> None:
    """Policies that are right do not hold either beside faulty channels."""
    file, good = AlertsFile(path), path.read_text()
    with structlog.testing.capture_logs() as logs:
        path.unlink() if bad is None else path.write_text(bad.replace("website-down", "shop-down"))
        assert [file.changed() for _ in range(3)] == [False] * 3
        assert [line["log_level"] for line in logs] == ["error"]
        assert file.fault == logs[0]["error"]
        assert names(file) == ["website-down", "ops"]
        path.write_text(good)
        assert not file.changed()
    assert file.fault is None
    assert [line["log_level"] for line in logs] == ["error", "info"]


def test_a_secret_that_comes_after_the_file_that_names_it_is_found(path: Path, tmp_path: Path) -> None:
    """Nobody has to touch the file again."""
    file = AlertsFile(path)
    path.write_text(POLICIES + HOOK.format("boss", tmp_path / "later"))
    assert not file.changed()
    assert "the file" in (fault(file) or "")
    (tmp_path / "later").write_text(SECRET)
    assert not file.changed()
    assert (fault(file), names(file)) == (None, ["website-down", "boss"])


def test_channels_that_cannot_be_used_are_a_fault_of_the_file(path: Path, tmp_path: Path) -> None:
    """As those are whose library is missing."""

    def use(_: Notifications) -> None:
        raise StopError("channel boss: Apprise is not installed")

    file = AlertsFile(path)
    file.follow(use)
    path.write_text(OTHER_POLICIES + HOOK.format("boss", tmp_path / "secret"))
    assert not file.changed()
    assert (file.fault, names(file)) == ("channel boss: Apprise is not installed", ["website-down", "ops"])
