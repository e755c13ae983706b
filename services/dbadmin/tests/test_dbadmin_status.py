"""`dbadmin status`: the product's main question, without psql."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from dbadmin.cli import main
from dbadmin.commands.status import _seen
from dbadmin.commands.watching import changes
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.status import Answer, Question, WebsiteStatus
from monitoring_core.errors import OutageError
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from monitoring_core.config import Config

SECOND = dt.timedelta(seconds=1)


def target(connection: psycopg.Connection[Any], url: str, labels: dict[str, str] | None = None, **more: Any) -> int:
    """A target that has been active for an hour; its id."""
    values = {"amc_url": url, "amc_labels": json.dumps(labels) if labels else None, **more}
    row = connection.execute(
        f"INSERT INTO monitoring.availability_monitor_config ({', '.join(values)}, amc_active_since) "
        f"VALUES ({', '.join(['%s'] * len(values))}, now() - interval '1 hour') RETURNING amc_id",
        list(values.values()),
    ).fetchone()
    assert row
    return int(row[0])


def result(
    connection: psycopg.Connection[Any], target_id: int, ago_s: float, status: str, location: str = "default"
) -> None:
    """A check that was due so many seconds ago."""
    down, up = status == "down", status == "up"
    connection.execute(
        "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, reason, error, "
        "response_time_s, http_status, producer_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 1)",
        (
            target_id,
            dt.datetime.now(dt.UTC) - ago_s * SECOND,
            location,
            status,
            None if up else "status_mismatch" if down else "missed_window",
            "status 503, expected 200-299" if down else None,
            0.0354 if up else None,
            200 if up else 503 if down else None,
        ),
    )


@pytest.fixture
def ready(config: Config, config_file: Path) -> Path:
    """Seven websites, all but one checked at one location: up, down twice, unknown, stale, new, and switched off."""
    create_database(config.database)
    list(create_schema(config.database, dt.datetime.now(dt.UTC).date()))
    with connect(config.database, "test", autocommit=True) as connection:
        connection.execute(
            "INSERT INTO monitoring.producer_lease VALUES ('default', 1, 'x', now(), now() - interval '1 hour')"
        )
        for url, status, ages, labels in (
            ("https://me:hunter2@up.example/", "up", (70, 10), {"team": "shop", "tier": "1"}),
            ("https://down.example/", "down", (130, 70, 10), {"team": "shop"}),
            ("https://just-down.example/", "down", (9,), None),
            ("https://unknown.example/", "unknown", (10,), None),
            ("https://stale.example/", "up", (600, 300), None),
        ):
            number = target(connection, url, labels)
            for age in ages:
                result(connection, number, age, status)
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES ('https://new.example/')"
        )
        off = target(connection, "https://off.example/", amc_active=False)
        result(connection, off, 10, "down")
    return config_file


def run(config_file: Path, *arguments: str, columns: int = 200) -> tuple[int, str, str]:
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, ["status", *arguments, "--config", str(config_file)])
    return done.exit_code, done.stdout, done.stderr


def kinds(said: str) -> list[tuple[int, str]]:
    """Id and status of each line of a table."""
    lines = said.splitlines()
    at = lines[0].index("status")
    return [(int(line.split()[0]), line[at:].split()[0]) for line in lines[1:]]


@pytest.mark.integration_test
def test_the_worst_are_on_top_and_all_are_counted(ready: Path) -> None:
    """Stale before down before unknown before up, the newest change first; what is switched off is left out."""
    status, said, summary = run(ready)
    assert status == 0
    assert kinds(said) == [(5, "stale"), (3, "down"), (2, "down"), (4, "unknown"), (6, "unknown"), (1, "up")]
    assert summary == "6 websites: 2 down, 1 stale, 2 unknown, 1 up\n"
    lines = {line.split()[0]: " ".join(line.split()) for line in said.splitlines()[1:]}
    assert lines["2"].endswith("ago status_mismatch: status 503, expected 200-299 team=shop")
    assert lines["5"].endswith("stale 4 m 5 m ago no newer result")
    assert lines["6"].endswith("unknown never not_checked_yet")
    assert lines["1"].endswith("ago 200, 35 ms team=shop, tier=1")
    assert "hunter2" not in said


@pytest.mark.integration_test
@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--down"], [3, 2]),
        (["--stale"], [5]),
        (["--down", "--stale"], [5, 3, 2]),
        (["--label", "team=shop"], [2, 1]),
        (["--label", "team=shop", "--label", "tier=1"], [1]),
        (["--label", "team=shop", "--down"], [2]),
        (["--location", "nowhere"], []),
        (["--limit", "2"], [5, 3]),
    ],
)
def test_only_what_is_asked_for_is_shown(ready: Path, options: list[str], ids: list[int]) -> None:
    """Each filter alone, and together."""
    _, said, _ = run(ready, "-o", "json", *options)
    assert [one["target_id"] for one in json.loads(said)] == ids


@pytest.mark.integration_test
def test_a_list_that_is_cut_says_so(ready: Path) -> None:
    """How many there are, and how to see them."""
    assert run(ready, "--limit", "2")[2].endswith(", 1 up; 2 of 6 shown, --limit N shows more\n")
    assert run(ready, "--down", "--limit", "1")[2].endswith(", 1 up; 1 of 2 shown, --limit N shows more\n")


@pytest.mark.integration_test
def test_a_program_gets_every_column(ready: Path) -> None:
    """As JSON and as CSV: the same values, moments in ISO 8601 and durations in seconds."""
    (one,) = json.loads(run(ready, "-o", "json", "--stale")[1])
    assert (one["url"], one["status"], one["stale"]) == ("https://stale.example/", "unknown", True)
    ago = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(one["checked_at"])
    assert 300 <= one["age"] <= ago.total_seconds() < 400
    (row,) = csv.DictReader(io.StringIO(run(ready, "-o", "csv", "--label", "tier=1")[1]))
    assert row.keys() == one.keys()
    assert (row["url"], row["stale"], row["error"]) == ("https://up.example/", "false", "")
    assert json.loads(row["labels"]) == {"team": "shop", "tier": "1"}
    assert run(ready, "-o", "json", "--location", "nowhere")[1] == "[]\n"


@pytest.mark.integration_test
def test_what_is_asked_of_an_own_interval_is_staler_sooner(ready: Path, config: Config) -> None:
    """A target that is checked every second is stale after half a minute; one that is new is given time."""
    with connect(config.database, "test", autocommit=True) as connection:
        quick = target(connection, "https://quick.example/", amc_check_interval_s=1, amc_timeout_s=0.5)
        result(connection, quick, 40, "up")
        target(connection, "https://never.example/")
    stale = [one["url"] for one in json.loads(run(ready, "--stale", "-o", "json")[1])]
    assert stale == ["https://quick.example/", "https://stale.example/", "https://never.example/"]


@pytest.mark.integration_test
def test_each_location_has_its_own_status(ready: Path, config: Config) -> None:
    """The table then names the location."""
    with connect(config.database, "test", autocommit=True) as connection:
        connection.execute("INSERT INTO monitoring.producer_lease VALUES ('oslo', 1, 'x', now(), now())")
        result(connection, 1, 5, "down", "oslo")
    _, said, summary = run(ready, "--label", "tier=1")
    assert [line.split()[:4] for line in said.splitlines()[1:]] == [
        ["1", "https://up.example/", "oslo", "down"],
        ["1", "https://up.example/", "default", "up"],
    ]
    assert summary == "1 website at 2 locations: 1 down, 0 stale, 0 unknown, 1 up\n"


@pytest.mark.integration_test
def test_without_targets_it_says_how_to_add_some(config: Config, config_file: Path) -> None:
    """A new installation is empty, which is no fault."""
    create_database(config.database)
    list(create_schema(config.database, dt.datetime.now(dt.UTC).date()))
    said = "no active target; `dbadmin targets add URL` and `targets import FILE` add some\n"
    assert run(config_file) == (0, "", said)


@pytest.mark.integration_test
def test_before_setup_it_says_what_to_run(config: Config, config_file: Path) -> None:
    """There is no schema yet, or no database."""
    status, _, said = run(config_file)
    assert (status, "(dbadmin setup makes a database" in said) == (1, True), said
    create_database(config.database)
    status, _, said = run(config_file)
    assert (status, said.endswith("(run dbadmin create-schema)\n")) == (1, True), said


@pytest.mark.integration_test
def test_a_narrow_terminal_holds_every_word(ready: Path) -> None:
    """No status and no age is cut in two at 80 columns."""
    from rich.console import Console

    from dbadmin.commands.status_table import status_table
    from dbadmin.status import read_status
    from monitoring_core.config import load_config

    answer = read_status(load_config(ready, environ={}), Question())
    console = Console(width=80, file=io.StringIO())
    console.print(status_table(answer))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, said.splitlines())) <= 80
    for word in ("unknown", "stale", "down", "5 m ago", "not_checked_yet"):
        assert word in said, said


AWAY = OutageError("PostgreSQL is away")


def answer(*statuses: str) -> Answer:
    """An answer with a website of each status."""
    nothing = dict.fromkeys(("reason", "error", "since", "checked_at", "age", "response_time_s", "http_status"))
    shown = tuple(
        WebsiteStatus(
            target_id=number,
            url=f"http://w{number}/",
            location="default",
            status=status,
            stale=False,
            certificate_expires_at=None,
            availability_today=None,
            labels=None,
            **nothing,
        )
        for number, status in enumerate(statuses, start=1)
    )
    return Answer(shown, len(shown), len(shown), 1, 0, 0, 0, 0)


def test_a_watch_tells_what_changes_and_waits_for_a_server_that_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is as it was is not printed again; an outage is told once."""
    answers: list[Answer | OutageError] = [
        answer("up", "up"),
        answer("up", "up"),
        AWAY,
        AWAY,
        answer("up", "up"),
        answer("up", "down"),
    ]

    def ask() -> Answer:
        found = answers.pop(0)
        if isinstance(found, OutageError):
            raise found
        return found

    monkeypatch.setattr("time.sleep", lambda _: None)
    found = list(islice(changes(ask, 5.0, _seen), 2))
    assert [[one.status for one in each.shown] for each in found] == [["up", "up"], ["up", "down"]]
    assert capsys.readouterr().err == "PostgreSQL is away\n"
    answers.append(AWAY)
    with pytest.raises(OutageError):
        next(changes(ask, 5.0, _seen))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--label", "team"], "--label: must be NAME=VALUE, of which 1 has no '='"),
        (["--watch", "-o", "csv"], "--watch needs -o table or -o json"),
        (["--limit", "0"], "0 is not in the range x>=1"),
    ],
)
def test_wrong_usage_is_told(tmp_path: Path, options: list[str], said: str) -> None:
    """Before anything is connected."""
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"kafka": {"bootstrap_servers": "k:1"}, "database": {"host": "h", "user": "u"}}))
    status, _, error = run(file, *options)
    assert status == 2
    assert said in error
