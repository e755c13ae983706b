"""Commands and an installation that is only partly there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NoReturn

import pytest

from dbadmin.commands.watching import changes
from dbadmin.connect import LoginRefusedError
from dbadmin.install import setup
from monitoring_core.config import DatabaseConfig
from monitoring_core.errors import OutageError

AWAY = OutageError("PostgreSQL is away")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int | OutageError]:
    """What PostgreSQL answers one after another: numbers, and outages."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    return []


def watched(answers: list[int | OutageError]) -> Iterator[int]:
    def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, OutageError):
            raise answer
        return answer

    return changes(ask, 5.0, str)


def test_an_outage_while_something_is_watched_is_said_once_and_waited_for(
    answers: list[int | OutageError], capsys: pytest.CaptureFixture[str]
) -> None:
    """After the outage, only a changed answer is shown."""
    answers += [1, AWAY, AWAY, 1, 2, AWAY, 3]
    assert list(islice(watched(answers), 3)) == [1, 2, 3]
    assert capsys.readouterr().err == "PostgreSQL is away\n" * 2


def test_a_server_that_is_away_from_the_first_look_on_is_no_answer(answers: list[int | OutageError]) -> None:
    """The address may be wrong."""
    answers += [AWAY]
    with pytest.raises(OutageError):
        next(watched(answers))


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
