"""Waiting, what a test needs of the machine, and what the servers say that they lack."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitoring_testkit.needs import need
from monitoring_testkit.servers import timescaledb
from monitoring_testkit.servers.apache_kafka import ApacheKafka
from monitoring_testkit.waiting import until


def test_until_goes_on_as_soon_as_the_condition_holds() -> None:
    """It asks again and again, and no more than it must."""
    answers = iter([False, False, True, False])
    until(lambda: next(answers), 5)
    assert next(answers) is False


def test_until_says_what_did_not_come_true_and_how_things_stood_at_the_end() -> None:
    """Only the failure asks for it, so that it is not the state at the beginning."""
    rows = [0]

    def stored() -> bool:
        rows[0] += 1
        return False

    with pytest.raises(AssertionError, match=r"^did not come true in 0.1 s: [1-9]\d* rows$"):
        until(stored, 0.1, lambda: f"{rows[0]} rows")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), (None, pytest.skip.Exception)])
def test_what_a_test_needs_must_be_there_in_ci_alone(
    ci: str | None, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that is skipped there proves nothing; on a developer's machine it would be in the way."""
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    need("server", None)
    with pytest.raises(outcome, match="no server can be started: it is not installed"):
        need("server", "it is not installed")


def test_what_apache_kafka_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A skip names what is missing."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert ApacheKafka.missing() == "java is not installed"


def test_ci_makes_the_folder_of_timescaledb_where_the_tests_look_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways to run everything make it, and one looks for the program that says that the folder is whole."""
    root = Path(__file__).parents[3]
    script, workflow = (root / ".ci/run").read_text(), (root / ".github/workflows/ci.yml").read_text()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = timescaledb.root().relative_to(tmp_path)
    assert f'timescaledb="${{XDG_CACHE_HOME:-$HOME/.cache}}/{folder}"\n' in script
    assert f'"$timescaledb{timescaledb.BIN}/postgres"' in script
    assert f'"$HOME/.cache/{folder}"\n' in workflow
