"""Plan and apply over the API: what is shown is what is done, as a whole or not at all, as by dbadmin."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest
import yaml
from hostile_texts import TEXTS
from writing import Writing, writes

from dbadmin.targets.declared_files import read_declaration
from dbadmin.targets.table import add, find, read_all
from dbadmin.tokens import add_token
from monitoring_core.declared.ownership import key_problem
from monitoring_core.errors import StopError
from monitoring_core.targets import TargetRecord
from monitoring_core.tokens import Scope
from monitoring_testkit.database import connect
from monitoring_testkit.needs import need
from monitoring_testkit.waiting import until
from status_svc.adapters import database
from status_svc.api import declarations, declaring, plans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests
    from conftest import Served

    from monitoring_core.config import Config

    Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.integration_test

TABLE = "monitoring.availability_monitor_config"
SHOP: list[dict[str, Any]] = [
    {"key": "home", "url": "https://shop.example/", "regexp": "Shop", "labels": {"team": "shop"}},
    {"key": "cart", "url": "https://shop.example/cart", "check_interval_s": 30, "timeout_s": 5},
    {"key": "api", "url": "https://me:hunter2@api.example/", "headers": {"X-Key": "hunter3"}},
]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is sent away on a machine that is busy with others."""
    monkeypatch.setattr(database, "STATEMENT_TIMEOUT_S", 100.0)
    monkeypatch.setattr(declaring, "TURN_S", 100.0)


def declaration(targets: list[Any], owner: str = "shop", **options: object) -> dict[str, Any]:
    return {"owner": owner, "targets": targets, **options}


def many(count: int, regexp: str) -> list[dict[str, Any]]:
    return [
        {
            "key": f"k{i}",
            "url": f"https://www.website-{i}.example/page",
            "regexp": f"{regexp} {i % 97}",
            "timeout_s": 10,
        }
        for i in range(count)
    ]


def records(config: Config) -> dict[str, TargetRecord]:
    """The targets by their keys; those without one by their URLs."""
    return {(one.labels or {}).get("managed-key", one.url): one for one in read_all(config.database)}


def rows(connection: Connection) -> list[tuple[Any, ...]]:
    """The rows with the transaction that wrote each, and the version that counts statements."""
    found = connection.execute(f"SELECT xmin::text, t.* FROM {TABLE} t ORDER BY amc_id").fetchall()
    return [*found, *connection.execute(f"SELECT version FROM {TABLE}_version").fetchall()]


def test_a_plan_shows_what_apply_does_and_changes_nothing(
    config: Config, writing: Writing, connection: Connection
) -> None:
    """A second apply finds nothing to do; each is written down with its owner, and the plans are not."""
    before = rows(connection)
    planned = writing("POST", "/targets/plan", declaration(SHOP))
    assert planned.status_code == 200, planned.text
    assert rows(connection) == before
    assert writes(connection) == []
    plan = planned.json()
    assert [(one["action"], one["key"], one["target_id"], one["url"]) for one in plan["changes"]] == [
        ("add", "home", None, "https://shop.example/"),
        ("add", "cart", None, "https://shop.example/cart"),
        ("add", "api", None, "https://api.example/"),
    ]
    assert plan["changes"][1]["fields"] == {
        "url": {"before": None, "after": "https://shop.example/cart"},
        "active": {"before": None, "after": True},
        "check_interval_s": {"before": None, "after": 30},
        "timeout_s": {"before": None, "after": 5.0},
        "labels.managed-by": {"before": None, "after": "shop"},
        "labels.managed-key": {"before": None, "after": "cart"},
    }
    assert plan["changes"][2]["fields"]["headers.X-Key"] == {"before": None, "after": "***"}
    assert (plan["owner"], plan["conflicts"], plan["unchanged"], plan["left_out"]) == ("shop", [], 0, 0)
    applied = writing("POST", "/targets/apply", declaration(SHOP))
    assert (applied.status_code, applied.json(), applied.headers["ETag"]) == (200, plan, planned.headers["ETag"])
    found = records(config)
    assert list(found) == ["home", "cart", "api"]
    assert found["home"].labels == {"team": "shop", "managed-by": "shop", "managed-key": "home"}
    assert (found["api"].url, found["api"].headers) == (SHOP[2]["url"], SHOP[2]["headers"])
    done = rows(connection)
    again = writing("POST", "/targets/apply", declaration(SHOP))
    assert (again.status_code, again.json()["changes"], again.json()["unchanged"]) == (200, [], 3)
    assert rows(connection) == done
    written = ("shop robot", writing.account, "applyTargets", "/targets?label=managed-by=shop", 200)
    assert writes(connection) == [written, written]


def test_changes_say_what_was_and_what_is_to_be(writing: Writing) -> None:
    """Of what may be a secret, that it is another one."""
    writing("POST", "/targets/apply", declaration(SHOP))
    changed = [
        {"key": "home", "url": "https://shop.example/", "labels": {"team": "web"}},
        {"key": "cart", "url": "https://shop.example/basket", "check_interval_s": 30, "timeout_s": 5},
        {"key": "api", "url": "https://me:hunter4@api.example/", "headers": {"X-Key": "hunter5"}},
    ]
    found = writing("POST", "/targets/apply", declaration(changed)).json()
    assert [(one["action"], one["target_id"], one["fields"]) for one in found["changes"]] == [
        ("change", 1, {"regexp": {"before": "Shop", "after": None}, "labels.team": {"before": "shop", "after": "web"}}),
        ("change", 2, {"url": {"before": "https://shop.example/cart", "after": "https://shop.example/basket"}}),
        (
            "change",
            3,
            {
                "url": {"before": "https://api.example/", "after": "https://api.example/"},
                "headers.X-Key": {"before": "***", "after": "***"},
            },
        ),
    ]


def test_secrets_are_in_no_answer_no_log_and_no_record(
    config: Config, writing: Writing, connection: Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither of targets that are declared nor of those that are there, whatever becomes of the request."""
    post = {"key": "post", "url": "https://x.example/", "method": "POST", "body": "hunter6"}
    bad = {"key": "https://me:hunter7@x/", "url": "x://me:hunter8@x/", "headers": {"X": "hunter9\n"}}
    add(config.database, TargetRecord(url="https://a:hunter0@taken.example/"))
    taken = {"key": "taken", "url": "https://a:hunter0@taken.example/"}
    answers = [
        writing("POST", "/targets/plan", declaration([*SHOP, post])),
        writing("POST", "/targets/apply", declaration([*SHOP, post])),
        writing("POST", "/targets/apply", declaration([*SHOP, post | {"body": "hunter7"}])),
        writing("POST", "/targets/plan", declaration([], remove=True)),
        writing("POST", "/targets/apply", declaration([bad, "https://me:hunter7@x/"])),
        writing("POST", "/targets/apply", declaration([taken])),
        writing("POST", "/targets/plan", declaration([taken])),
    ]
    assert [one.status_code for one in answers] == [200, 200, 200, 200, 422, 409, 200]
    said = capfd.readouterr()
    assert not [one.text for one in answers if "hunter" in one.text]
    assert "hunter" not in said.out + said.err
    for table in ("status_write", "availability_monitor_config_history"):
        (text,) = connection.execute(f"SELECT string_agg(t::text, '') FROM monitoring.{table} t").fetchone() or ("",)
        assert text
        assert "hunter" not in text


BAD: list[Any] = [
    "https://me:hunter2@x/",
    {"key": "a"},
    {"url": "https://b.example/"},
    {"key": " c", "url": "https://c.example/"},
    {"key": 5, "url": 6},
    {"key": "https://me:hunter2@x/", "url": "https://d.example/"},
    {"key": "e", "url": "ftp://e.example/", "intervall": 5, "id": 7},
    {"key": "f", "url": "https://f.example/", "timeout_s": "ten", "check_interval_s": 0, "regexp": "("},
    {"key": "g", "url": "https://g.example/", "labels": {"managed-by": "me", "a": 1}},
    {"key": "h", "url": "https://h.example/"},
    {"key": "h", "url": "https://h.example/"},
    {"key": "i", "url": "https://i.example/", "headers": {"X Y": "1"}, "body": "x"},
    None,
    [],
]


def test_a_request_is_judged_as_a_file_is(writing: Writing, connection: Connection, tmp_path: Path) -> None:
    """Every fault at once, each with its place; nothing is done."""
    file = tmp_path / "targets.yaml"
    file.write_text(yaml.safe_dump(declaration(BAD)))
    with pytest.raises(StopError) as caught:
        read_declaration([str(file)], None)
    # A file names lines, a request the target.
    of_file = [re.sub(r"^\S+ ", "", line) for line in str(caught.value).splitlines()]
    for path in ("/targets/plan", "/targets/apply"):
        answer = writing("POST", path, declaration(BAD))
        assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
        errors = answer.json()["errors"]
        assert "targets[10].key: h is that of targets[9] too" in errors
        assert "targets[6].intervall: no such field; did you mean check_interval_s?" in errors
        assert sorted(re.sub("that of .* too", "", one) for one in errors) == sorted(
            re.sub("that of .* too", "", one) for one in of_file
        )
    assert writes(connection) == []


def test_a_request_refers_to_no_variable_of_the_environment(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of status-svc is not the caller's."""
    monkeypatch.setenv("TARGET_SHOP", "hunter2")
    reference = {"env": "TARGET_SHOP"}
    target = {"key": "a", "url": "https://a.example/", "method": "POST", "headers": {"X": reference}, "body": reference}
    answer = writing("POST", "/targets/plan", declaration([target]))
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        ["targets[0].headers[...]: must be text, got an object", "targets[0].body: must be text, got an object"],
    )


WRONG: dict[str, tuple[Any, str]] = {
    "no owner": ({"targets": []}, "missing required field `owner`"),
    "owner that is none": ({"owner": "a b", "targets": []}, "owner: must be at most 100 letters"),
    "no targets": ({"owner": "shop"}, "missing required field `targets`"),
    "targets by name": ({"owner": "shop", "targets": {}}, "`$.targets`"),
    "another field": (declaration([], grace=5), "`grace`"),
    "percent": (declaration([], max_gone=101), "`$.max_gone`"),
    "no truth": (declaration([], adopt="yes"), "`$.adopt`"),
    "too many": (declaration([{}] * 10_001), "`$.targets`"),
    "a hundred thousand faults": (
        declaration([{str(i): 1 for i in range(10)}] * 10_000),
        "targets[0].0: no such field",
    ),
    "many fields": (declaration([{str(i): 1 for i in range(100_000)}]), "targets[0].0: no such field"),
    "a long name": (declaration([{"x" * 1_000_000: 1}]), "targets[0].xxxx"),
    "NUL": (declaration([{"key": "a", "url": "https://a/", "labels": {"a": "\0"}}]), "cannot be stored"),
    "deep": (json.dumps(declaration([])).replace("[]", "[" * 100 + "]" * 100).encode(), "too deep"),
}


def test_a_declaration_that_cannot_be_used_is_refused(writing: Writing) -> None:
    """At once, and with an answer that has bounds, however much is wrong."""
    for name, (content, said) in WRONG.items():
        began = time.monotonic()
        answer = writing("POST", "/targets/apply", content)
        assert (answer.status_code, said in answer.json()["detail"]) == (422, True), f"{name}: {answer.text[:1_000]}"
        assert len(answer.content) < 100_000, name
        assert time.monotonic() - began < 10, name


REFUSED: dict[str, tuple[bytes, dict[str, str], int]] = {
    "not JSON": (b"{", {}, 400),
    "not UTF-8": (b'{"owner": "\xff"}', {}, 400),
    "half a character": (b'{"owner": "shop", "targets": [{"key": "\\ud800", "url": "http://a/"}]}', {}, 400),
    "no object": (b"[]", {}, 422),
    "another media type": (b"{}", {"Content_Type": "text/yaml"}, 415),
    "large": (b" " * (4 << 20) + b" ", {}, 413),
}


def test_a_content_that_is_none_is_refused(writing: Writing) -> None:
    """The bound of 4 MiB is for declarations alone."""
    for name, (content, headers, status) in REFUSED.items():
        answer = writing("POST", "/targets/apply", content, **headers)
        assert (answer.status_code, answer.json()["status"]) == (status, status), f"{name}: {answer.text}"
    assert writing("POST", "/targets/plan", json.dumps(declaration([])).encode() + b" " * 300_000).status_code == 200
    assert writing("POST", "/targets", b" " * 262_145).status_code == 413


def test_only_a_token_with_the_scope_write_plans(
    config: Config, writing: Writing, serve: Callable[..., Served]
) -> None:
    """And nobody where writes are off."""
    reader = attrs.evolve(writing, token=add_token(config.database, "reader", [Scope.READ], None))
    off = attrs.evolve(writing, served=serve())
    for path in ("/targets/plan", "/targets/apply"):
        assert reader("POST", path, declaration(SHOP)).status_code == 403
        assert writing.served.send("POST", f"/api/v1{path}", json=declaration(SHOP)).status_code == 401
        assert off("POST", path, declaration(SHOP)).status_code == 405
        assert writing("GET", path).headers["Allow"] == "POST"
    assert list(read_all(config.database)) == []


def test_its_account_needs_no_temporary_tables(writing: Writing, connection: Connection) -> None:
    """Nor any right that adding, changing and deleting one target does not need."""
    statement = "SELECT has_database_privilege(%s, current_database(), 'TEMPORARY')"
    assert connection.execute(statement, (writing.account,)).fetchone() == (False,)
    for targets in (SHOP, [{**SHOP[0], "regexp": "Sale"}]):
        assert writing("POST", "/targets/apply", declaration(targets, remove=True, max_gone=70)).status_code == 200


def test_targets_of_others_are_left_alone_until_they_may_be_taken_over(config: Config, writing: Writing) -> None:
    add(config.database, TargetRecord(url="https://shop.example/"))
    other = [{"key": "cart", "url": "https://shop.example/cart"}, {"key": "x", "url": "https://x.example/"}]
    assert writing("POST", "/targets/apply", declaration(other, owner="team-b/web")).status_code == 200
    before = records(config)
    planned = writing("POST", "/targets/plan", declaration(SHOP)).json()
    assert planned["conflicts"] == [
        {"key": "home", "url": "https://shop.example/", "target_id": 1, "owner": None, "adoptable": True},
        {"key": "cart", "url": "https://shop.example/cart", "target_id": 2, "owner": "team-b/web", "adoptable": False},
    ]
    assert planned["refusal"] == "2 URLs are those of other targets"
    refused = writing("POST", "/targets/apply", declaration(SHOP))
    assert (refused.status_code, refused.json()["detail"], refused.json()["errors"]) == (
        409,
        "2 URLs are those of other targets: nothing was changed.",
        [
            "targets[0].url: https://shop.example/ is target 1, which belongs to nobody; adopt takes it over",
            "targets[1].url: https://shop.example/cart is target 2, which belongs to team-b/web",
        ],
    )
    assert writing("POST", "/targets/apply", declaration(SHOP, adopt=True)).status_code == 409
    assert records(config) == before
    writing("POST", "/targets/apply", declaration(other[1:], owner="team-b/web"))
    adopted = writing("POST", "/targets/apply", declaration(SHOP, adopt=True)).json()
    assert [(one["action"], one["target_id"]) for one in adopted["changes"]] == [
        ("adopt", 1),
        ("adopt", 2),
        ("add", None),
    ]
    assert writing("POST", "/targets/plan", declaration(other[1:], owner="team-b/web")).json()["unchanged"] == 1


@pytest.mark.parametrize(
    ("present", "left", "options", "refusal"),
    [
        (3, 0, {}, "3 of 3 targets would go, and max_gone is 25"),
        (10, 5, {}, None),
        (20, 14, {}, "6 of 20 targets would go, and max_gone is 25"),
        (20, 14, {"max_gone": 30}, None),
        (3, 0, {"max_gone": 100}, None),
        (20, 14, {"remove": True}, "6 of 20 targets would go, and max_gone is 25"),
        (20, 14, {"remove": True, "max_gone": 30}, None),
    ],
)
def test_a_declaration_that_lost_most_of_its_targets_is_refused(
    present: int, left: int, options: dict[str, Any], refusal: str | None, config: Config, writing: Writing
) -> None:
    targets = many(present, "a")
    writing("POST", "/targets/apply", declaration(targets))
    assert writing("POST", "/targets/plan", declaration(targets[:left], **options)).json()["refusal"] == refusal
    answer = writing("POST", "/targets/apply", declaration(targets[:left], **options))
    found = list(read_all(config.database))
    if refusal:
        assert (answer.status_code, answer.json()["detail"]) == (409, f"{refusal}: nothing was changed.")
        assert sum(one.active for one in found) == present
    else:
        action = "remove" if options.get("remove") else "deactivate"
        assert [one["action"] for one in answer.json()["changes"]] == [action] * (present - left)
        assert (sum(one.active for one in found), len(found)) == (left, left if options.get("remove") else present)


def test_what_a_person_saw_is_what_is_done(config: Config, writing: Writing, connection: Connection) -> None:
    """With the tag of the plan, whatever else has changed since; also of headers, which no plan shows."""
    writing("POST", "/targets/apply", declaration(SHOP))
    changed = declaration([{**SHOP[0], "regexp": "Sale"}, *SHOP[1:]])
    tag = writing("POST", "/targets/plan", changed).headers["ETag"]
    connection.execute(f"INSERT INTO {TABLE} (amc_url) VALUES ('https://elsewhere.example/')")
    assert writing("POST", "/targets/plan", changed).headers["ETag"] == tag
    connection.execute(f"UPDATE {TABLE} SET amc_headers = '{{}}' WHERE amc_id = 1")
    for stale in (tag, f"W/{tag}", '"other"', "nonsense"):
        answer = writing("POST", "/targets/apply", changed, If_Match=stale)
        assert (answer.status_code, answer.json()["detail"]) == (412, "The plan is another one now: plan again.")
    assert records(config)["home"].regexp == "Shop"
    newer = writing("POST", "/targets/plan", changed).headers["ETag"]
    assert newer != tag
    # Another content has another plan, also when what differs is not shown.
    secret = declaration([changed["targets"][0] | {"headers": {"X": "1"}}, *SHOP[1:]])
    tags = {
        writing("POST", "/targets/plan", declaration([{**secret["targets"][0], "headers": {"X": value}}])).headers[
            "ETag"
        ]
        for value in ("1", "2", "1")
    }
    assert len(tags) == 2
    assert writing("POST", "/targets/apply", secret, If_Match=newer).status_code == 412
    assert writing("POST", "/targets/apply", changed, If_Match=newer).status_code == 200
    assert records(config)["home"].regexp == "Sale"
    assert writing("POST", "/targets/apply", changed, If_Match="*").json()["changes"] == []


def test_hostile_values_are_stored_as_they_are(config: Config, writing: Writing) -> None:
    """In keys, where they can be keys, in labels, and wherever else text may stand."""
    targets: dict[str, dict[str, Any]] = {}
    # What is no Unicode is no JSON.
    texts = [text for text in TEXTS.values() if text.encode(errors="ignore").decode() == text and "\0" not in text]
    for number, text in enumerate(texts):
        key = text if key_problem(text) is None and text not in targets else str(number)
        short = text[:100]
        fields = {"labels": {text: text}, "regexp": re.escape(short), "expected_json": {"$.a": {short: [short]}}}
        targets[key] = {"key": key, "url": f"https://{number}.example/", **fields}
    assert sum(not key.isdecimal() for key in targets) > 40
    applied = writing("POST", "/targets/apply", declaration([*targets.values()]))
    assert applied.status_code == 200, applied.text
    found = records(config)
    for change, (key, target) in zip(applied.json()["changes"], targets.items(), strict=True):
        (label,) = target["labels"]
        shown = change["fields"][f"labels.{label}" if label else "labels"]
        assert (change["key"], shown["after"]) == (key, label)
        assert found[key].labels == target["labels"] | {"managed-by": "shop", "managed-key": key}
        assert (found[key].regexp, found[key].expected_json) == (target["regexp"], target["expected_json"])
    assert writing("POST", "/targets/plan", declaration([*targets.values()])).json()["unchanged"] == len(targets)


ROWS: dict[str, str] = {
    "labels that are no text": """amc_labels = '{"managed-by": "shop", "managed-key": 5, "a": {"b": 1}}'""",
    "JSON that Python does not read": "amc_expected_json = (repeat('[', 2000) || repeat(']', 2000))::jsonb",
    "a large number": """amc_expected_json = '{"$.a": 1e5000}'""",
    "a number with many digits": """amc_expected_json = '{"$.a": 1e400, "$.b": 1.5e-400}'""",
    "headers that are no object": """amc_headers = '["hunter2"]'""",
    "a text for a list": """amc_further_regexps = '"x"'""",
    "no finite number": "amc_timeout_s = 'Infinity'",
}


def test_what_a_row_should_not_hold_stops_no_plan(writing: Writing, connection: Connection) -> None:
    """Whoever wrote it past us; the declaration puts it right."""
    targets = [{"key": "home", "url": "https://shop.example/"}]
    writing("POST", "/targets/apply", declaration(targets))
    constraints = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'"
    for (name,) in connection.execute(constraints, (TABLE,)).fetchall():
        connection.execute(
            psycopg.sql.SQL(f"ALTER TABLE {TABLE} DROP CONSTRAINT {{}}").format(psycopg.sql.Identifier(name))
        )
    for name, row in ROWS.items():
        connection.execute(f"UPDATE {TABLE} SET {row}")
        for path in ("/targets/plan", "/targets/apply"):
            answer = writing("POST", path, declaration(targets))
            assert (answer.status_code, len(answer.json()["changes"])) == (200, 1), f"{name}: {answer.text}"
            assert "hunter" not in answer.text
        assert writing("POST", "/targets/plan", declaration(targets)).json()["unchanged"] == 1, name


def test_an_answer_has_bounds(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has no room for is counted, and done."""
    monkeypatch.setattr(plans, "MAX_TOLD", 10_000)
    applied = writing("POST", "/targets/apply", declaration(many(200, "a"))).json()
    assert len(json.dumps(applied)) < 15_000
    assert 10 < len(applied["changes"]) == 200 - applied["left_out"]
    assert writing("POST", "/targets/plan", declaration(many(200, "a"))).json()["unchanged"] == 200


@pytest.mark.usefixtures("patient")
def test_two_at_once_end_as_one_of_them(
    config: Config, writing: Writing, connection: Connection, serve: Callable[..., Served], tmp_path: Path
) -> None:
    """In one process, in two, and beside dbadmin: each waits for the other, and compares anew."""
    second = attrs.evolve(writing, served=serve(writes=True))
    file = tmp_path / "targets.yaml"
    file.write_text(yaml.safe_dump(declaration(many(500, "file"))))
    command = ["targets", "apply", "--yes", "-f", str(file), "--config", str(tmp_path / "config.yaml")]

    def by_dbadmin() -> None:
        program = [sys.executable, "-c", "from dbadmin.cli import main; main()", *command]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def by_api(one: Writing, regexp: str) -> dict[str, Any]:
        answer = one("POST", "/targets/apply", declaration(many(500, regexp)))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    with ThreadPoolExecutor(8) as threads:
        files = [threads.submit(by_dbadmin) for _ in range(2)]
        asked = [threads.submit(by_api, one, regexp) for one in (writing, second) for regexp in ("a", "b", "c")]
        [one.result() for one in files]
        added = [{change["action"] for change in one.result()["changes"]} for one in asked]
    assert added.count({"add"}) <= 1
    found = list(read_all(config.database))
    assert len(found) == 500
    assert len({(one.regexp or "").split()[0] for one in found}) == 1


@pytest.mark.usefixtures("patient")
def test_whoever_changes_one_target_and_apply_do_not_wait_for_each_other(
    writing: Writing, connection: Connection
) -> None:
    """Who changes one locks it first; PostgreSQL would end one of two that each have what the other needs."""
    writing("POST", "/targets/apply", declaration(many(50, "a")))
    with ThreadPoolExecutor(8) as threads:
        applied = [threads.submit(writing, "POST", "/targets/apply", declaration(many(50, str(i)))) for i in range(5)]
        changed = [
            threads.submit(writing, "PATCH", f"/targets/{i}", {"regexp": str(i)}, If_Match="*") for i in range(1, 51)
        ]
        assert {one.result().status_code for one in (*applied, *changed)} == {200}


@contextmanager
def locked(config: Config) -> Iterator[None]:
    """Somebody else changes targets."""
    with connect(config.database) as other, other.transaction():
        other.execute(f"LOCK TABLE {TABLE} IN SHARE ROW EXCLUSIVE MODE")
        yield


def test_apply_waits_for_others_no_longer_than_a_statement_may_take(
    config: Config, serve: Callable[..., Served], writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plans wait for nobody."""
    monkeypatch.setattr(database, "STATEMENT_TIMEOUT_S", 0.5)
    impatient = attrs.evolve(writing, served=serve(writes=True))
    with locked(config):
        assert impatient("POST", "/targets/plan", declaration(SHOP)).status_code == 200
        answer = impatient("POST", "/targets/apply", declaration(SHOP))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert impatient("POST", "/targets/apply", declaration(SHOP)).status_code == 200


@pytest.mark.usefixtures("patient")
def test_others_write_while_many_apply_and_not_too_many_wait(
    config: Config, writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many apply, one connection is left for what a person wants to say at night."""
    monkeypatch.setattr(declaring, "MOST_PRESENT", 3)
    window = {"match": {}, "ends_at": (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()}
    with ThreadPoolExecutor(4) as threads:
        with locked(config):
            asked = [threads.submit(writing, "POST", "/targets/apply", declaration(SHOP)) for _ in range(4)]
            done, waiting = wait(asked, return_when=FIRST_COMPLETED)
            (refused,) = [one.result() for one in done]
            assert (refused.status_code, refused.json()["detail"]) == (
                503,
                "Others plan or apply at this moment: come again.",
            )
            assert writing("POST", "/maintenance", window).status_code == 201
            assert len(waiting) == 3
            assert not any(one.done() for one in waiting)
        assert [one.result().status_code for one in waiting] == [200] * 3


@pytest.mark.usefixtures("patient")
def test_nobody_waits_for_a_turn_for_long(config: Config, writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declaring, "TURN_S", 0.2)
    with ThreadPoolExecutor(2) as threads:
        with locked(config):
            asked = [threads.submit(writing, "POST", "/targets/apply", declaration(SHOP)) for _ in range(2)]
            done, waiting = wait(asked, return_when=FIRST_COMPLETED)
            assert [one.result().status_code for one in done] == [503]
        assert [one.result().status_code for one in waiting] == [200]


def test_a_content_that_does_not_come_keeps_no_place(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declaring, "CONTENT_S", 0.2)
    host, port = writing.served.url.removeprefix("http://").split(":")
    head = (
        f"POST /api/v1/targets/apply HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {writing.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with socket.create_connection((host, int(port)), timeout=60) as slow:
        slow.sendall(head.encode())
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
    assert writing("POST", "/targets/plan", declaration(SHOP)).status_code == 200


def test_judging_ends(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regular expressions may be made to take long."""
    monkeypatch.setattr(declarations, "JUDGING_S", 1.0)
    slow = [
        {"key": f"k{i}", "url": f"https://{i}.example/", "further_regexps": [f"[^a]{{990}}{i}{j}" for j in range(20)]}
        for i in range(1_000)
    ]
    began = time.monotonic()
    answer = writing("POST", "/targets/plan", declaration(slow))
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "targets: to judge them takes more than 1 seconds; dbadmin targets apply has no bound.",
    )
    assert time.monotonic() - began < 50


@pytest.mark.usefixtures("patient")
def test_ten_thousand_targets_are_planned_and_applied_while_others_are_served(
    config: Config, writing: Writing, connection: Connection
) -> None:
    """Also by sessions that changed a single target before."""
    connection.execute(
        f"INSERT INTO {TABLE} (amc_url) SELECT 'https://o-' || i || '/' FROM generate_series(1, 20000) i"
    )
    for number in (1, 2, 1, 2, 1, 2):  # in each session
        writing("PATCH", f"/targets/{number}", {"regexp": str(time.monotonic())}, If_Match="*")
    waits, took = [0.0], [0.0]
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            began = time.monotonic()
            assert writing.served.get("/api/v1/openapi.json").status_code == 200
            waits.append(time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()

    def timed(path: str, regexp: str) -> requests.Response:
        began = time.monotonic()
        answer = writing("POST", path, declaration(many(10_000, regexp)))
        took.append(time.monotonic() - began)
        return answer

    try:
        planned = timed("/targets/plan", "a")
        assert (planned.status_code, len(planned.json()["changes"]), planned.json()["left_out"]) == (200, 10_000, 0)
        for regexp, action in (("a", "add"), ("b", "change")):
            applied = timed("/targets/apply", regexp)
            assert applied.status_code == 200, applied.text[:1_000]
            assert {change["action"] for change in applied.json()["changes"]} == {action}
    finally:
        ended.set()
        asking.join()
    assert len(waits) > 20
    # Nobody waits as long as this takes: its statements and its reckoning are in threads.
    assert max(waits) < 0.5 + max(took) / 3, (max(waits), took)
    again = writing("POST", "/targets/apply", declaration(many(10_000, "b"))).json()
    assert (again["changes"], again["unchanged"]) == ([], 10_000)
    (found,) = find(config.database, [str(20_001)])
    assert found.labels == {"managed-by": "shop", "managed-key": "k0"}


def test_the_commands_of_the_readme_do_what_they_say(config: Config, writing: Writing, tmp_path: Path) -> None:
    """As they stand there, but for the address."""
    missing = [name for name in ("bash", "curl", "jq") if not shutil.which(name)]
    need("a pipeline", ", ".join(missing))
    section = (Path(__file__).parents[1] / "README.md").read_text().split("A pipeline applies a file of targets")[1]
    block = section.split("```console\n")[1].split("```")[0].replace("https://status.example.org", writing.served.url)
    (tmp_path / "targets.json").write_text(block.split("$ cat targets.json\n")[1].partition("\n")[0] + "\n")
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        cwd=tmp_path,
        env=os.environ | {"TOKEN": writing.token, "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = re.sub(r"^\$ (?:.*\\\n)*.*\n", "", block, flags=re.MULTILINE)
    assert done.stdout == shown
    assert list(records(config)) == ["home"]


def test_a_service_that_is_killed_in_the_middle_leaves_nothing(
    config: Config, writing: Writing, connection: Connection, tmp_path: Path
) -> None:
    """Some targets are deactivated already and none is added yet."""
    writing("POST", "/targets/apply", declaration(many(10, "a")))
    before = rows(connection)
    connection.execute(
        "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$"
    )
    connection.execute(f"CREATE TRIGGER slow BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION public.slow()")
    command = [str(Path(sys.executable).with_name("status-svc")), "run", "--config", str(tmp_path / "config.yaml")]
    for setting in ("status.host=127.0.0.1", "status.port=0", "metrics.port=0", "status.writes=true"):
        command += ["--set", setting]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    port = json.loads(process.stderr.readline())["port"]
    there = attrs.evolve(writing, served=attrs.evolve(writing.served, url=f"http://127.0.0.1:{port}"))
    failed: list[Exception] = []

    def apply() -> None:
        try:
            there("POST", "/targets/apply", declaration([*many(5, "b"), *SHOP]))
        except Exception as error:
            failed.append(error)

    asking = threading.Thread(target=apply)
    asking.start()
    inserting = "SELECT FROM pg_stat_activity WHERE usename = %s AND wait_event = 'PgSleep'"
    until(lambda: bool(connection.execute(inserting, (writing.account,)).fetchall()))
    process.send_signal(signal.SIGKILL)
    process.wait()
    asking.join()
    assert failed
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND wait_event = 'PgSleep'"
    connection.execute(ended, (writing.account,))
    connection.execute(f"DROP TRIGGER slow ON {TABLE}")
    assert rows(connection) == before
    assert len(writes(connection)) == 1
    assert writing("POST", "/targets/apply", declaration([*many(5, "b"), *SHOP])).json()["left_out"] == 0
