"""The commands that need no server."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from alert_svc.cli import main
from monitoring_alerting.testing.scenes import result
from monitoring_core.codec import encode

if TYPE_CHECKING:
    from pathlib import Path

POLICIES = """policies:
  - name: website-down
    match: {team: shop}
    kind: down
    locations: {at_least: 2, of: [berlin, tokyo, virginia]}
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "alerts.yaml").write_text(POLICIES)
    target = {"id": 1, "url": "https://example.org/", "labels": {"team": "shop"}}
    (tmp_path / "targets.jsonl").write_text(json.dumps(target) + "\n")
    return ["--policies", str(tmp_path / "alerts.yaml"), "--targets", str(tmp_path / "targets.jsonl")]


def decide(files: list[str], lines: bytes, *more: str) -> Result:
    return CliRunner().invoke(main, ["decide", *files, *more], input=lines)


def lines_of(signs: str, target_id: int = 1) -> bytes:
    found = [
        encode(result(minute, location, sign, target_id))
        for minute, sign in enumerate(signs)
        for location in ("berlin", "tokyo", "virginia")
    ]
    return b"\n".join(found)


def test_transitions_are_printed_as_lines(files: list[str]) -> None:
    """One object each, with the keys that a program needs."""
    done = decide(files, lines_of("uuddddduuu"))
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0, done.output
    assert [one["state"] for one in told] == ["suspected", "firing", "recovering", "resolved"]
    assert len({one["alert_id"] for one in told}) == 1
    assert told[1] | {"target_id": 1, "policy": "website-down", "kind": "down"} == told[1]
    assert told[1]["locations"][:2] == ["berlin", "tokyo"]
    assert dt.datetime.fromisoformat(told[1]["at"]).minute in (3, 4, 5)


def test_the_clock_may_run_on(files: list[str]) -> None:
    """Blindness is told ten minutes after the first slot without votes, and not before."""
    assert decide(files, lines_of("uuuuuuu"), "--until", "2026-11-24T10:10:00Z").stdout == ""
    (told,) = decide(files, lines_of("uuuuuuu"), "--until", "2026-11-24T10:20:00Z").stdout.splitlines()
    assert (json.loads(told)["state"], json.loads(told)["locations"]) == (
        "undetermined",
        ["berlin", "tokyo", "virginia"],
    )


def test_what_is_due_before_the_clock_stops_is_decided_when_it_is_due(files: list[str]) -> None:
    """However far the clock runs on, and whether a wake or the end of the input finds it."""
    told = []
    for until in ("2026-11-24T10:30:00Z", "2026-11-25T10:00:00Z"):
        lines = lines_of("uuuuuu") + b"\n" + encode(result(6, "berlin", "d", 1))
        told.append(decide(files, lines, "--until", until).stdout)
    assert told[0] == told[1] != ""
    one = json.loads(told[0].splitlines()[0])
    assert one["state"] == "undetermined"
    assert one["decided_at"] == one["at"]


def test_slots_that_nobody_wakes_for_are_decided_when_their_results_are_late(tmp_path: Path, files: list[str]) -> None:
    """Two of three locations see it down, and the third one never says a word."""
    (tmp_path / "alerts.yaml").write_text(POLICIES.replace("virginia]}", "virginia]}\n    failures: {at_least: 1}"))
    lines = b"\n".join(encode(result(minute, name, "d", 1)) for minute, name in ((0, "berlin"), (1, "tokyo")))
    shown = [decide(files, lines, "--until", f"2026-11-24T10:0{minute}:30Z").stdout for minute in (5, 9)]
    assert shown[0] == shown[1] != ""


def test_lines_that_are_no_results_are_told(files: list[str]) -> None:
    """The others are decided all the same, and the status says so."""
    done = decide(files, b"nonsense\n" + lines_of("uuddddd"))
    assert done.exit_code == 1
    assert done.stderr.startswith("-:1: not_json: ")
    assert '"state":"firing"' in done.stdout


def test_results_of_unknown_targets_are_counted(files: list[str]) -> None:
    """A target that was deleted or deactivated has no alerts."""
    done = decide(files, lines_of("uuddddd", target_id=2))
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("results of no active target of ")
    assert done.stderr.endswith("targets.jsonl: 21\n")


def test_policies_are_checked_before_anything_is_read(files: list[str]) -> None:
    """Status 2 and a line for each fault."""
    bad = ["--policies", files[3], *files[2:]]
    assert decide(bad, b"").exit_code == 2
    assert CliRunner().invoke(main, ["check-config", *files[:2]]).output == "The policies are valid: website-down.\n"
    assert CliRunner().invoke(main, ["check-config", *bad[:2]]).exit_code == 2
