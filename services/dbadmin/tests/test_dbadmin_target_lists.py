"""Targets listed, shown, set and removed."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import yaml
from click.testing import CliRunner

from dbadmin.cli import main
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.targets.table import add, read_all
from monitoring_core.targets import TargetRecord
from monitoring_core.targets.masked import SHOWN, shown
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_core.config import Config

RECORDS = (
    TargetRecord(url="https://a.example/", labels={"team": "shop"}, check_interval_s=30, timeout_s=2.5),
    TargetRecord(url="https://me:hunter2@b.example/", headers={"X-Key": "hunter3"}, method="POST", body="hunter4"),
    TargetRecord(url="https://C.example/", labels={"team": "shop", "tier": "1"}, active=False),
)


@pytest.fixture
def ready(config: Config, config_file: Path) -> Path:
    create_database(config.database)
    list(create_schema(config.database, dt.date(2026, 3, 1)))
    for record in RECORDS:
        add(config.database, record)
    return config_file


def run(config_file: Path, *arguments: str, **more: Any) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["targets", *arguments, "--config", str(config_file)], **more)
    return done.exit_code, done.stdout, done.stderr


def test_every_field_is_shown_and_what_may_be_secret_is_masked() -> None:
    """A field that the record gains is shown without a change here; one that its repr leaves out is masked."""
    assert set(SHOWN) == set(attrs.fields_dict(TargetRecord))
    found = shown(RECORDS[1])
    assert tuple(found) == SHOWN
    assert (found["url"], found["headers"], found["body"]) == ("https://b.example/", {"X-Key": "***"}, "***")
    for field in attrs.fields(TargetRecord):
        value: Any = {"name": "hunter5"} if "dict" in str(field.type) else "hunter5"
        if field.repr is not True and field.name != "url":
            masked = shown(attrs.evolve(RECORDS[0], **{field.name: value}))[field.name]
            assert "hunter5" not in str(masked), field.name


@pytest.mark.integration_test
@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], [1, 2, 3]),
        (["--active"], [1, 2]),
        (["--inactive"], [3]),
        (["--label", "team=shop"], [1, 3]),
        (["--label", "team=shop", "--label", "tier=1"], [3]),
        (["--label", "team=shop", "--active"], [1]),
        (["--url", "c.EXAMPLE"], [3]),
        (["--url", "%"], []),
        (["--limit", "2"], [1, 2]),
    ],
)
def test_a_list_has_what_is_asked_for(ready: Path, options: list[str], ids: list[int]) -> None:
    """The same targets in every form, each with all fields."""
    as_json = json.loads(run(ready, "list", "-o", "json", *options)[1])
    as_yaml = yaml.safe_load(run(ready, "list", "-o", "yaml", *options)[1])
    as_csv = list(csv.DictReader(io.StringIO(run(ready, "list", "-o", "csv", *options)[1])))
    assert [row["id"] for row in as_json] == [row["id"] for row in as_yaml] == [int(row["id"]) for row in as_csv] == ids
    for row, other, text in zip(as_json, as_yaml, as_csv, strict=True):
        assert row == other
        assert tuple(row) == tuple(text) == SHOWN
        assert text["active"] == str(row["active"]).lower()
    said = json.dumps(as_json) + run(ready, "list", *options)[1]
    assert "hunter" not in said


@pytest.mark.integration_test
def test_a_table_has_the_columns_that_tell_something(ready: Path) -> None:
    """What no target in it has is left out."""
    _, said, hint = run(ready, "list", "--label", "team=shop")
    assert [line.split() for line in said.splitlines()] == [
        ["id", "url", "active", "check_interval_s", "timeout_s", "labels"],
        ["1", "https://a.example/", "yes", "30", "2.5", "team=shop"],
        ["3", "https://C.example/", "no", "team=shop,", "tier=1"],
    ]
    assert hint == ""


@pytest.mark.integration_test
def test_a_list_that_is_cut_says_so(ready: Path, config: Config) -> None:
    """How many there are, and how to see them; an empty one says what to do."""
    assert run(ready, "list", "--limit", "2")[2] == "2 of 3 targets shown; --limit N shows more\n"
    assert (
        run(ready, "list", "--limit", "1", "-o", "csv", "--active")[2] == "1 of 2 targets shown; --limit N shows more\n"
    )
    assert run(ready, "list", "--label", "team=x")[1:] == ("", "no target is so\n")
    with connect(config.database, "test", autocommit=True) as connection:
        connection.execute("DELETE FROM monitoring.availability_monitor_config")
    assert run(ready, "list") == (
        0,
        "",
        "no target yet; `dbadmin targets add URL` and `targets import FILE` add some\n",
    )


@pytest.mark.integration_test
def test_before_setup_a_list_says_what_to_run(config: Config, config_file: Path) -> None:
    """There is no database yet, or no schema in it."""
    status, _, said = run(config_file, "list")
    assert (status, "(dbadmin setup makes a database" in said) == (1, True), said
    create_database(config.database)
    status, _, said = run(config_file, "list")
    assert (status, said.endswith("(run dbadmin create-schema)\n")) == (1, True), said


@pytest.mark.integration_test
def test_one_target_is_shown_with_every_field(ready: Path) -> None:
    """By id or URL; one that is not there is told."""
    status, said, _ = run(ready, "show", "1", "https://C.example/")
    first, second = said.split("\n\n")
    assert status == 0
    assert dict(line.split(maxsplit=1) for line in first.splitlines() if " " in line) == {
        "id": "1",
        "url": "https://a.example/",
        "active": "yes",
        "check_interval_s": "30",
        "timeout_s": "2.5",
        "labels": "team=shop",
    }
    assert [line.split()[0] for line in second.splitlines()] == list(SHOWN)
    assert run(ready, "show", "1", "9") == (1, "", "there is no target 9\n")


def record(config: Config, number: int) -> TargetRecord:
    (found,) = (one for one in read_all(config.database) if one.id == number)
    return found


@pytest.mark.integration_test
def test_fields_are_set_and_unset(ready: Path, config: Config) -> None:
    """Labels and headers are added to; the rest stays as it was, secrets too."""
    assert run(ready, "set", "1", "2", "--timeout", "5s", "--label", "tier=2", "--unset", "check_interval_s") == (
        0,
        "2 targets changed\n",
        "",
    )
    assert record(config, 1) == attrs.evolve(
        RECORDS[0], id=1, timeout_s=5, labels={"team": "shop", "tier": "2"}, check_interval_s=None
    )
    assert record(config, 2) == attrs.evolve(RECORDS[1], id=2, timeout_s=5, labels={"tier": "2"})
    assert run(ready, "set", "1", "--timeout", "5s")[1] == "0 targets changed, 1 as before\n"
    run(ready, "set", "1", "--unset", "labels.team", "--unset", "timeout_s", "--url", "https://new.example/")
    assert record(config, 1) == TargetRecord(id=1, url="https://new.example/", labels={"tier": "2"})


@pytest.mark.integration_test
def test_a_header_is_the_same_in_capitals(ready: Path, config: Config) -> None:
    """A token that is replaced must not be sent any more. Labels and paths of JSON are told apart."""
    added = [
        "--header",
        "Authorization: old",
        "--expected-header",
        "X-A:a",
        "--label",
        "A=1",
        "--expected-json",
        "$.A",
        "1",
    ]
    assert run(ready, "set", "1", *added)[0] == 0
    changed = [
        "--header",
        "authorization: new",
        "--expected-header",
        "x-a:b",
        "--label",
        "a=2",
        "--expected-json",
        "$.a",
        "2",
    ]
    assert run(ready, "set", "1", *changed)[0] == 0
    found = record(config, 1)
    assert (found.headers or {}).get("authorization") == "new"
    assert "Authorization" not in (found.headers or {})
    assert (found.expected_headers, found.expected_json) == ({"x-a": "b"}, {"$.A": 1, "$.a": 2})
    assert {"A": "1", "a": "2"}.items() <= (found.labels or {}).items()
    assert run(ready, "set", "1", "--unset", "headers.AUTHORIZATION", "--unset", "expected_json.$.A")[0] == 0
    found = record(config, 1)
    assert "authorization" not in (found.headers or {})
    assert found.expected_json == {"$.a": 2}


@pytest.mark.integration_test
@pytest.mark.parametrize("value", ["[" * 3_000 + "]" * 3_000, "[" * 600 + "]" * 600, "9" * 5_000])
def test_a_row_that_python_cannot_read_does_not_hide_the_others(ready: Path, config: Config, value: str) -> None:
    """PostgreSQL takes JSON that Python does not; whoever writes rows may do so."""
    with connect(config.database, "test") as connection:
        connection.execute(
            "UPDATE monitoring.availability_monitor_config SET amc_expected_json = %s WHERE amc_id = 1",
            (f'{{"$": {value}}}',),
        )
    found = {one.id: one for one in read_all(config.database)}
    assert len(found) == len(RECORDS)
    assert found[1].problems() == ["expected_json: must be an object of values by JSON paths"]
    for arguments in (["list"], ["show", "1"], ["export", "-"], ["history", "1"]):
        status, said, complaint = run(ready, *arguments)
        assert (status, "internal error" in said + complaint) == (0, False), arguments
    assert run(ready, "set", "1", "--unset", "expected_json")[0] == 0
    assert record(config, 1) == attrs.evolve(RECORDS[0], id=1)


@pytest.mark.integration_test
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["1", "9", "--timeout", "5s"], 1, "there is no target 9: nothing changed\n"),
        (["1", "3", "--timeout", "40s"], 2, "target 1: timeout_s: must be shorter than check_interval_s (30), got 40"),
        (["1", "--regexp", "("], 2, "regexp: is not a regular expression that RE2 takes"),
        (["2", "--unset", "method"], 2, "target 2: body: needs method POST: nothing changed"),
        (["1", "--url", "https://C.example/"], 1, "url: belongs to another target already: nothing changed\n"),
        (["1", "2", "--url", "https://x.example/"], 2, "--url: two targets cannot have the same"),
        (["1"], 2, "nothing to set: name a field, like --timeout 5s, or --unset one"),
        (["1", "--unset", "colour"], 2, "--unset: colour is none of "),
        (["1", "--unset", "url"], 2, "--unset: url is none of "),
        (["1", "--unset", "regexp.x"], 2, "--unset: regexp has no parts"),
        (["1", "--interval", "1500ms"], 2, "'--interval': must be whole seconds, 1s or more, got 1500ms"),
        (["1", "--interval", "30"], 2, "'--interval': must be a duration like 500ms, 10s, 5m or 1h, got '30'"),
    ],
)
def test_what_cannot_be_set_changes_nothing(
    ready: Path, config: Config, arguments: list[str], status: int, said: str
) -> None:
    """All targets that are named, or none; and the message says why."""
    done = run(ready, "set", *arguments)
    assert done[0] == status
    assert said in done[2]
    assert [attrs.evolve(one, id=None) for one in read_all(config.database)] == list(RECORDS)


@pytest.mark.integration_test
def test_targets_are_removed_after_a_question(ready: Path, config: Config) -> None:
    """All that are named or none; no password is shown."""
    assert run(ready, "remove", "1", "9", "--yes") == (1, "", "there is no target 9: nothing changed\n")
    status, _, said = run(ready, "remove", "1", "2", input="n\n")
    assert status == 1
    assert said.startswith("  1  https://a.example/\n  2  https://b.example/\nRemove 2 targets for good? [y/N]: ")
    assert len(list(read_all(config.database))) == 3
    assert run(ready, "remove", "2", input="y\n")[:2] == (0, "1 target removed\n")
    assert run(ready, "remove", "https://a.example/", "--yes") == (0, "1 target removed\n", "")
    assert [one.id for one in read_all(config.database)] == [3]
