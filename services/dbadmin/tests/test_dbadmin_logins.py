"""Logins of people at status-svc are ended from the command line."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from dbadmin.cli import main
from dbadmin.history.maintain import maintain
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_testkit.database import connect

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_core.config import Config

pytestmark = pytest.mark.integration_test
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(autouse=True)
def _schema(config: Config) -> None:
    create_database(config.database)
    list(create_schema(config.database, NOW.date()))


def run(config_file: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["logins", "end", *words, "--config", str(config_file)])


def test_logins_of_somebody_and_of_everybody_are_ended(config: Config, config_file: Path) -> None:
    """It is written down who did it."""
    assert run(config_file, "ada").output == "logins of ada: ended\n"
    assert run(config_file, "--everybody").output == "logins of everybody: ended\n"
    with connect(config.database) as connection:
        rows = connection.execute(
            "SELECT who, ended_by, ended_at > now() - interval '1 minute' FROM monitoring.status_logout"
        )
        assert rows.fetchall() == [("ada", config.database.user, True), ("", config.database.user, True)]


@pytest.mark.parametrize("words", [(), ("",), ("ada", "--everybody")])
def test_whose_logins_are_ended_must_be_said(config_file: Path, words: tuple[str, ...]) -> None:
    """Nothing that is left out, like a variable that is empty, means everybody."""
    done = run(config_file, *words)
    assert done.exit_code == 2
    assert done.output.endswith("Error: Give the name of somebody, or --everybody.\n")


def test_maintain_keeps_what_may_still_hold(config: Config) -> None:
    """However short the retention is: a login may last seven days."""
    with connect(config.database) as connection:
        connection.execute(
            "INSERT INTO monitoring.status_logout (who, ended_at) "
            "SELECT days::text, now() - make_interval(days => days) FROM unnest(ARRAY[6, 29, 31, 1096]) days"
        )
        list(maintain(config.database, NOW))
        rows = connection.execute("SELECT who FROM monitoring.status_logout ORDER BY ended_at").fetchall()
        assert [who for (who,) in rows] == ["31", "29", "6"]
