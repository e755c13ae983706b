"""Commands and an installation that is only partly there."""

from __future__ import annotations

from itertools import islice
from typing import Any, NoReturn

import pytest

from dbadmin.commands.producer_count import _changes
from dbadmin.connect import LoginRefusedError
from dbadmin.install import setup
from dbadmin.targets.table import ProducerCount
from monitoring_core.config import Config, DatabaseConfig
from monitoring_core.errors import OutageError

AWAY = OutageError("PostgreSQL is away")
CONFIG: Any = None


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int | OutageError]:
    """What PostgreSQL answers one after another: numbers of active targets, and outages."""
    left: list[int | OutageError] = []

    def producer_count(_: Config) -> ProducerCount:
        answer = left.pop(0)
        if isinstance(answer, OutageError):
            raise answer
        return ProducerCount(answer, 1000, 1)

    monkeypatch.setattr("dbadmin.commands.producer_count.producer_count", producer_count)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return left


def test_an_outage_while_the_count_is_watched_is_said_once_and_waited_for(
    answers: list[int | OutageError], capsys: pytest.CaptureFixture[str]
) -> None:
    """After the outage, only a changed count is printed."""
    answers += [1, AWAY, AWAY, 1, 2, AWAY, 3]
    assert [count.active for count in islice(_changes(CONFIG, 5.0), 3)] == [1, 2, 3]
    assert capsys.readouterr().err == "PostgreSQL is away\n" * 2


def test_a_server_that_is_away_from_the_first_look_on_is_no_count(answers: list[int | OutageError]) -> None:
    """The address may be wrong."""
    answers += [AWAY]
    with pytest.raises(OutageError):
        next(_changes(CONFIG, 5.0))


def test_a_database_is_made_from_the_first_that_lets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured one is there, or else it is made from `postgres`, or from Aiven's `defaultdb`."""
    tried: list[str] = []

    def connected(config: DatabaseConfig, database: str | None = None, *, autocommit: bool) -> NoReturn:
        tried.append(database or config.database)
        raise LoginRefusedError(f"no {tried[-1]}")

    monkeypatch.setattr(setup, "connected", connected)
    with pytest.raises(LoginRefusedError) as caught:
        setup.create_database(DatabaseConfig(host="h", user="u", database="mine"))
    assert tried == ["mine", "postgres", "defaultdb"]
    assert str(caught.value) == "no mine"
