"""What a person sees of the alerts."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alert_svc import wiring
from alert_svc.cli import main

AT = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)
ENDED = "6f3a9c216f3a9c216f3a9c216f3a9c21"
ROW: dict[str, Any] = {
    "alert_id": "5f3a9c215f3a9c215f3a9c215f3a9c21",
    "state": "firing",
    "before": "suspected",
    "severity": "critical",
    "policy": "website-down",
    "kind": "down",
    "target_id": 1,
    "url": "https://example.org/[bold]",
    "labels": {"team": "shop"},
    "since": AT,
    "at": AT + dt.timedelta(minutes=2),
    "locations": ["berlin", "tokyo"],
    "cause": None,
    "silenced_by": {"target_id": 7, "name": "https://gateway/"},
    "silenced_window": 3,
    "step_s": None,
    "acknowledged_at": AT,
    "acknowledged_by": "me",
    "note": "I see",
    "evidence": [
        {
            "scheduled_at": "2026-11-24T10:00:00Z",
            "location": "berlin",
            "status": "down",
            "reason": "timeout",
            "error": "\x1b[31mred\nand more",
        }
    ],
}


class Alerts:
    """Alerts without a database."""

    def newest(self, only_open: bool, limit: int | None) -> list[dict[str, Any]]:
        return [ROW, ROW | {"state": "resolved"}][: 1 if only_open else limit]

    def way(self, alert_id: str) -> list[dict[str, Any]]:
        return [ROW]

    def acknowledge(self, alert_id: str, who: str | None, note: str | None) -> dict[str, Any]:
        ended = ENDED.startswith(alert_id)
        return {"alert_id": ENDED if ended else ROW["alert_id"], "acknowledged_by": who, "ended": ended}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(wiring, "alerts", lambda _: Alerts())
    file = tmp_path / "config.yaml"
    file.write_text("kafka: {bootstrap_servers: 'k:1'}\ndatabase: {host: h, user: u}\n")

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--config", str(file)])

    return invoke


def test_a_table_shows_each_alert_with_what_there_is_to_say(run: Any) -> None:
    """The ID is short enough to type; a URL cannot pose as markup."""
    done = run("list", "--open")
    assert done.exit_code == 0, done.output
    assert done.stderr == "1 alert\n"
    (_, line) = done.stdout.splitlines()
    assert line.split()[:4] == ["5f3a9c215f3a", "firing", "critical", "website-down"]
    assert "https://example.org/[bold]" in line
    assert "behind target 7, https://gateway/; in maintenance window 3; acknowledged by me: I see" in line


def test_why_shows_what_was_decided_on(run: Any) -> None:
    """No control character of a website gets to the terminal."""
    done = run("list", "--why", "5f3a9c21")
    assert "2026-11-24 10:02:00 UTC  suspected -> firing\n" in done.stdout
    assert "  2026-11-24T10:00:00Z berlin down timeout [31mred and more\n" in done.stdout
    assert "\x1b" not in done.stdout


def test_json_has_every_field(run: Any) -> None:
    """For programs."""
    (first, second) = json.loads(run("list", "-o", "json").stdout)
    assert first["since"] == "2026-11-24T10:00:00+00:00"
    assert (first["alert_id"], second["state"]) == (ROW["alert_id"], "resolved")


def test_an_acknowledgement_says_who(run: Any) -> None:
    """By default the user of the terminal."""
    assert run("ack", "5f3a9c21", "--by", "me").stdout == f"alert {ROW['alert_id']}: acknowledged by me\n"


def test_who_acknowledges_an_alert_that_has_ended_is_told_so(run: Any) -> None:
    """If the website is down again, that is another alert, which nobody has acknowledged."""
    said = run("ack", "6f3a9c21", "--by", "me").stdout
    assert said == f"alert {ENDED}: acknowledged by me, but it has ended: see alert-svc list --open\n"
