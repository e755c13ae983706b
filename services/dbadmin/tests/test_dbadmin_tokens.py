"""Tokens of status-svc, and what was written with them, from the command line."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from dbadmin.cli import main
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_testkit import alert_rows
from monitoring_testkit.database import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitoring_core.config import Config

pytestmark = pytest.mark.integration_test

Run = Callable[..., Result]
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def run(config: Config, config_file: Path) -> Run:
    create_database(config.database)
    list(create_schema(config.database, NOW.date()))
    return lambda *words: CliRunner().invoke(main, ["tokens", *words, "--config", str(config_file)])


@pytest.fixture
def connection(run: Run, config: Config) -> Iterator[psycopg.Connection[Any]]:
    with connect(config.database) as made:
        yield made


@pytest.fixture
def written(connection: psycopg.Connection[Any]) -> None:
    """Four writes by two tokens: to two targets, a note on the first, an alert about the second, and a window."""
    connection.execute(
        "INSERT INTO monitoring.incident_note (target_id, began_at, kind, text, public) "
        "VALUES (7, now(), 'identified', 'A disk is full.', false)"
    )
    writes = [
        (3, "deploy", "addTarget", "/targets/7", 201),
        (2, "deploy", "changeTarget", "/targets/70", 200),
        (1, "night [b]shift[/b]", "addNote", "/notes/1", 201),
        (0, "night [b]shift[/b]", "endWindow", "/maintenance/7", 200),
        (0, "night [b]shift[/b]", "withdrawNote", "/notes/99", 204),
    ]
    for days, token, operation, subject, status in writes:
        connection.execute(
            "INSERT INTO monitoring.status_write (written_at, token_id, token, operation, subject, status, answer) "
            "VALUES (%s, 1, %s, %s, %s, %s, 'secret')",
            (NOW - days * DAY, token, operation, subject, status),
        )


def listed(run: Run, *words: str) -> list[int]:
    answer = run("writes", "-o", "json", *words)
    assert answer.exit_code == 0, answer.output
    return [row["id"] for row in json.loads(answer.stdout)]


def test_a_token_is_shown_once_and_ends_when_it_is_revoked(run: Run) -> None:
    token = run("add", "deploy", "--scope", "write").stdout.strip()
    assert token.startswith("mon_")
    shown = run("list").stdout
    assert token not in shown
    assert shown.splitlines()[1].split()[:3] == ["deploy", "write", "valid"]
    assert run("add", "deploy").exit_code == 1
    assert run("revoke", "deploy").stdout == "token deploy: revoked\n"
    assert "revoked" in run("list").stdout


@pytest.mark.usefixtures("written")
def test_writes_are_listed_the_newest_first(run: Run) -> None:
    """With the target that each was about; what was answered is not shown."""
    answer = run("writes", "-o", "json")
    rows = json.loads(answer.stdout)
    assert [(row["id"], row["target_id"]) for row in rows] == [(5, None), (4, None), (3, 7), (2, 70), (1, 7)]
    assert rows[2] | {"written_at": None, "account": None} == {
        "id": 3,
        "written_at": None,
        "token": "night [b]shift[/b]",
        "operation": "addNote",
        "subject": "/notes/1",
        "target_id": 7,
        "status": 201,
        "location": None,
        "idempotency_key": None,
        "account": None,
    }
    assert "secret" not in answer.stdout


@pytest.mark.usefixtures("written")
def test_writes_are_filtered_by_time_token_and_target(run: Run) -> None:
    """All filters together."""
    assert listed(run, "--since", "36h") == [5, 4, 3]
    assert listed(run, "--since", (NOW - 2.5 * DAY).isoformat()) == [5, 4, 3, 2]
    assert listed(run, "--token", "deploy") == [2, 1]
    assert listed(run, "--token", "dep%") == []
    assert listed(run, "--target", "7") == [3, 1]
    assert listed(run, "--target", "7", "--token", "deploy", "--since", "7d") == [1]
    assert listed(run, "--limit", "2") == [5, 4]
    assert run("writes", "--since", "yesterday").exit_code == 2


def test_a_write_to_an_alert_is_one_to_its_target(run: Run, connection: psycopg.Connection[Any]) -> None:
    for state, before in (("firing", "suspected"), ("resolved", "firing")):
        alert_rows.store(connection, alert_rows.transition(8, state, before))
    (alert,) = {row[0] for row in connection.execute("SELECT alert_id FROM monitoring.alert_transition")}
    connection.execute(
        "INSERT INTO monitoring.status_write (token_id, token, operation, subject, status) "
        "VALUES (1, 'me', 'acknowledgeAlert', %s, 200)",
        (f"/alerts/{alert}",),
    )
    assert listed(run, "--target", "8") == [1]
    assert listed(run, "--target", "7") == []


@pytest.mark.usefixtures("written")
def test_writes_are_a_table_for_people_and_csv_for_programs(run: Run) -> None:
    """A name is shown as it is, whatever it looks like; the table says when there may be more."""
    table = run("writes", "--limit", "3")
    assert "night [b]shift[/b]" in table.stdout
    assert table.stderr == "3 writes; --limit N shows more\n"
    rows = list(csv.DictReader(run("writes", "-o", "csv").stdout.splitlines()))
    assert [row["token"] for row in rows] == ["night [b]shift[/b]"] * 3 + ["deploy"] * 2
    assert run("writes", "--token", "nobody").stderr == "0 writes\n"
