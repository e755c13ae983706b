"""Maintenance windows from the command line."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict

from dbadmin.cli import main
from dbadmin.install.schema import create_schema
from monitoring_core.config import load_config

pytestmark = pytest.mark.integration_test

Run = Callable[..., Result]


@pytest.fixture
def run(server: str, tmp_path: Path) -> Run:
    info = conninfo_to_dict(server)
    file = tmp_path / "config.yaml"
    file.write_text(
        "kafka: {bootstrap_servers: 'k:1'}\n"
        f"database: {{host: '{info['host']}', port: {info.get('port') or 5432}, user: postgres, database: postgres}}\n"
    )
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS monitoring CASCADE")
    list(create_schema(load_config(file, environ={}).database, dt.datetime.now(dt.UTC).date()))

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, ["maintenance", *words, "--config", str(file)])

    return invoke


def test_a_window_holds_from_now_until_somebody_ends_it(run: Run) -> None:
    """What ended is listed no more, unless it is asked for."""
    added = run("add", "--label", "team=shop", "--for", "30m", "--note", "new\ncables")
    assert added.exit_code == 0, added.output
    assert added.stdout.startswith("maintenance window 1: from ")
    (row,) = json.loads(run("list", "-o", "json").stdout)
    assert (row["id"], row["match"], row["note"]) == (1, {"team": "shop"}, "new cables")
    assert row["holds_until"] == row["ends_at"]
    assert row["next_at"] is None
    assert "team=shop" in run("list").stdout
    assert run("end", "1").stdout == "maintenance window 1: ended\n"
    assert run("end", "1").stdout == "maintenance window 1: was ended before\n"
    assert json.loads(run("list", "-o", "json").stdout) == []
    assert [one["id"] for one in json.loads(run("list", "--over", "-o", "json").stdout)] == [1]


def test_a_window_recurs_in_its_zone(run: Run) -> None:
    """Moments without an offset are of the zone."""
    words = ("add", "--all", "--from", "2026-03-22T01:00", "--for", "3h", "--zone", "Europe/Berlin")
    added = run(*words, "--every", "FREQ=WEEKLY")
    assert added.stdout == "maintenance window 1: first from 2026-03-22 00:00 UTC to 2026-03-22 03:00 UTC\n"
    (row,) = json.loads(run("list", "-o", "json").stdout)
    assert (row["zone"], row["recurrence"], row["match"]) == ("Europe/Berlin", "FREQ=WEEKLY", {})
    assert dt.datetime.fromisoformat(row["next_at"]) > dt.datetime.now(dt.UTC)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "--for", "1h"), 2, "give --label, or --all for all targets"),
        (("add", "--all", "--label", "a=b", "--for", "1h"), 2, "give --label, or --all for all targets"),
        (("add", "--all", "--for", "1h", "--from", "soon"), 2, "'soon' is no moment like"),
        (("add", "--all", "--for", "1h", "--zone", "Mars"), 1, "no window was added: 'Mars' is no time zone"),
        (("add", "--all", "--for", "1h", "--every", "often"), 1, "no window was added: 'often' is no RRULE"),
        (("end", "7"), 1, "there is no maintenance window 7"),
    ],
)
def test_what_is_wrong_is_said(run: Run, words: tuple[str, ...], status: int, said: str) -> None:
    """And nothing is added."""
    done = run(*words)
    assert (done.exit_code, said in done.output) == (status, True), done.output
    assert json.loads(run("list", "--over", "-o", "json").stdout) == []
