"""Websites as code: what is shown is what is done, a second time changes nothing, and others are left alone."""

from __future__ import annotations

import datetime as dt
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import yaml
from click.testing import CliRunner

from dbadmin.cli import main
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.targets.table import add, read_all, set_active
from monitoring_core.targets import TargetRecord
from monitoring_runtime.postgres import connect
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitoring_core.config import Config

pytestmark = pytest.mark.integration_test

SHOP: list[dict[str, Any]] = [
    {"key": "home", "url": "https://shop.example/", "regexp": "Shop", "labels": {"team": "shop"}},
    {"key": "cart", "url": "https://shop.example/cart", "check_interval_s": 30, "timeout_s": 5},
    {"key": "api", "url": "https://me:hunter2@api.example/", "headers": {"X-Key": "hunter3"}},
]
TABLE = "monitoring.availability_monitor_config"
OTHERS = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def ready(config: Config, config_file: Path) -> Path:
    create_database(config.database)
    list(create_schema(config.database, dt.date(2026, 3, 1)))
    return config_file


@pytest.fixture
def run(ready: Path, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """A command with a file of these targets."""

    def command(name: str, targets: list[dict[str, Any]], *arguments: str, owner: str = "shop") -> tuple[int, str, str]:
        file = tmp_path / "targets.yaml"
        file.write_text(yaml.safe_dump({"owner": owner, "targets": targets}))
        more = ("--yes",) if name == "apply" else ()
        done = CliRunner().invoke(
            main, ["targets", name, "-f", str(file), *more, *arguments, "--config", str(ready)], catch_exceptions=False
        )
        return done.exit_code, done.stdout, done.stderr

    return command


def records(config: Config) -> dict[str, TargetRecord]:
    """The targets by their keys; those without one by their URLs."""
    return {(one.labels or {}).get("managed-key", one.url): one for one in read_all(config.database)}


def rows(config: Config) -> list[tuple[object, ...]]:
    """The rows with the transaction that wrote each, and the version that counts statements."""
    with connect(config.database, "test") as connection:
        found = connection.execute(f"SELECT xmin::text, ctid::text, {TABLE}.* FROM {TABLE} ORDER BY amc_id").fetchall()
        return [*found, *connection.execute(f"SELECT version FROM {TABLE}_version").fetchall()]


def written_by(config: Config, act: Callable[[], object]) -> tuple[int, int]:
    """The records of PostgreSQL's log that were written meanwhile, and the rows that were."""
    statement = """SELECT (SELECT wal_records FROM pg_stat_wal), tup_inserted + tup_updated + tup_deleted
        FROM pg_stat_database WHERE datname = current_database()"""
    with connect(config.database, "test", autocommit=True) as connection:

        def now() -> tuple[int, int]:
            # A session tells what it did when it ends.
            until(lambda: not connection.execute(OTHERS).fetchall())
            connection.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
            row = connection.execute(statement).fetchone()
            assert row is not None
            return int(row[0]), int(row[1])

        before = now()
        act()
        after = now()
        return after[0] - before[0], after[1] - before[1]


def test_a_plan_shows_what_apply_does(run: Callable[..., tuple[int, str, str]], config: Config) -> None:
    """Every field of what is new; nothing that may be secret; and a plan changes nothing."""
    shown = (
        "+ home  https://shop.example/\n    regexp: Shop\n    labels.managed-by: shop\n    labels.managed-key: home\n"
        "    labels.team: shop\n"
        "+ cart  https://shop.example/cart\n    check_interval_s: 30\n    timeout_s: 5.0\n"
        "    labels.managed-by: shop\n    labels.managed-key: cart\n"
        "+ api  https://api.example/\n    headers.X-Key: ***\n"
        "    labels.managed-by: shop\n    labels.managed-key: api\n"
    )
    assert run("plan", SHOP) == (0, f"{shown}shop: 3 to add, 0 to change, 0 unchanged\n", "")
    assert run("plan", SHOP, "--detailed-exitcode")[0] == 2
    assert list(read_all(config.database)) == []
    assert run("apply", SHOP) == (0, f"{shown}shop: 3 added, 0 changed, 0 unchanged\n", "")
    found = records(config)
    assert set(found) == {"home", "cart", "api"}
    assert found["home"].labels == {"team": "shop", "managed-by": "shop", "managed-key": "home"}
    assert (found["cart"].check_interval_s, found["cart"].timeout_s, found["cart"].active) == (30, 5.0, True)
    assert found["api"].url == "https://me:hunter2@api.example/"
    assert run("plan", SHOP, "--detailed-exitcode") == (0, "shop: 0 to add, 0 to change, 3 unchanged\n", "")


def test_a_second_apply_writes_nothing(run: Callable[..., tuple[int, str, str]], config: Config) -> None:
    """No row, no version, not a record in PostgreSQL's log."""
    run("apply", SHOP)
    before = rows(config)
    said: list[str] = []
    # PostgreSQL itself may write something at any time.
    written = min(written_by(config, lambda: said.append(run("apply", SHOP)[1])) for _ in range(3))
    assert (said, written) == (3 * ["shop: 0 added, 0 changed, 3 unchanged\n"], (0, 0))
    assert rows(config) == before
    changed = [{**SHOP[0], "regexp": "Sale"}, *SHOP[1:]]
    assert all(count > 0 for count in written_by(config, lambda: run("apply", changed)))
    assert [one[:2] == other[:2] for one, other in zip(rows(config), before, strict=True)] == [False, True, True, False]


def test_each_field_is_shown_as_it_was_and_as_it_is_to_be(
    run: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    """Of what is masked, that it is another one."""
    run("apply", SHOP)
    changed = [
        {"key": "home", "url": "https://shop.example/", "labels": {"team": "web", "tier": "1"}},
        {"key": "cart", "url": "https://shop.example/basket", "check_interval_s": 60, "timeout_s": 5},
        {"key": "api", "url": "https://me:hunter4@api.example/", "headers": {"X-Key": "hunter5", "X-New": "1"}},
    ]
    assert run("apply", changed)[1] == (
        "~ home  https://shop.example/\n    regexp: Shop -> nothing\n    labels.team: shop -> web\n"
        "    labels.tier: nothing -> 1\n"
        "~ cart  https://shop.example/basket\n    url: https://shop.example/cart -> https://shop.example/basket\n"
        "    check_interval_s: 30 -> 60\n"
        "~ api  https://api.example/\n    url: https://api.example/, which is another one\n"
        "    headers.X-Key: ***, which is another one\n    headers.X-New: nothing -> ***\n"
        "shop: 0 added, 3 changed, 0 unchanged\n"
    )
    assert [one.id for one in records(config).values()] == [1, 2, 3]
    assert run("plan", changed)[1] == "shop: 0 to add, 0 to change, 3 unchanged\n"


def test_what_is_no_longer_declared_is_deactivated_and_comes_back_as_the_same(
    run: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    """Its row, its id and all that is stored of it stay."""
    run("apply", SHOP)
    assert run("apply", SHOP[:2], "--max-gone", "50")[1] == (
        "- api  https://api.example/  deactivated\nshop: 0 added, 0 changed, 1 deactivated, 2 unchanged\n"
    )
    assert [(one.id, one.active) for one in records(config).values()] == [(1, True), (2, True), (3, False)]
    assert run("plan", SHOP[:2])[1] == "shop: 0 to add, 0 to change, 2 unchanged\n"
    assert run("apply", SHOP)[1] == (
        "~ api  https://api.example/\n    active: false -> true\nshop: 0 added, 1 changed, 2 unchanged\n"
    )
    assert [(one.id, one.active) for one in records(config).values()] == [(1, True), (2, True), (3, True)]


def test_what_is_no_longer_declared_is_removed_on_request(
    run: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    """Also what was deactivated before."""
    run("apply", SHOP)
    run("apply", SHOP[:2], "--max-gone", "50")
    assert run("apply", SHOP[:1], "--remove", "--max-gone", "70")[1] == (
        "- cart  https://shop.example/cart  removed\n- api  https://api.example/  removed\n"
        "shop: 0 added, 0 changed, 2 removed, 1 unchanged\n"
    )
    assert list(records(config)) == ["home"]


@pytest.mark.parametrize(
    ("before", "after", "options", "refused"),
    [
        (3, 0, [], "3 of 3 targets would go, and --max-gone is 25"),
        (1, 0, [], "1 of 1 target would go, and --max-gone is 25"),
        (10, 5, [], None),
        (20, 14, [], "6 of 20 targets would go, and --max-gone is 25"),
        (24, 18, [], None),
        (20, 14, ["--max-gone", "30"], None),
        (100, 71, ["--max-gone", "29"], None),
        (100, 71, ["--max-gone", "28"], "29 of 100 targets would go, and --max-gone is 28"),
        (3, 0, ["--max-gone", "100"], None),
        (20, 14, ["--remove"], "6 of 20 targets would go, and --max-gone is 25"),
    ],
)
def test_a_file_that_lost_most_of_its_targets_is_refused(
    run: Callable[..., tuple[int, str, str]],
    config: Config,
    before: int,
    after: int,
    options: list[str],
    refused: str | None,
) -> None:
    """Until somebody says how many may go. A few always may, if they are not all."""
    targets = [{"key": f"k{i}", "url": f"https://{i}.example/"} for i in range(before)]
    run("apply", targets)
    status, _, said = run("apply", targets[:after], *options)
    active = sum(one.active for one in read_all(config.database))
    if refused is None:
        assert (status, active) == (0, after)
    else:
        assert (status, said.splitlines()[-1], active) == (1, f"{refused}: nothing was changed", before)
        assert run("plan", targets[:after], *options)[2] == f"apply would refuse this: {refused}\n"


def test_targets_of_nobody_and_of_others_are_left_alone(
    run: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    """Until they are taken over, as those of others are only when these let them go."""
    add(config.database, TargetRecord(url="https://shop.example/", regexp="by hand", check_interval_s=10))
    add(config.database, TargetRecord(url="https://elsewhere.example/"))
    run(
        "apply", [{"key": "cart", "url": "https://shop.example/cart"}, {"key": "x", "url": "https://x/"}], owner="other"
    )
    hand = "! home  https://shop.example/ is target 1, which belongs to nobody: --adopt takes it over\n"
    other = "! cart  https://shop.example/cart is target 3, which belongs to other\n"
    status, said, aside = run("apply", SHOP)
    assert (status, said, aside.startswith(hand + other)) == (1, "", True)
    assert aside.splitlines()[-1] == "2 URLs are those of other targets: nothing was changed"
    assert run("apply", SHOP, "--adopt")[0] == 1
    run("apply", [{"key": "x", "url": "https://x/"}], owner="other")
    status, said, _ = run("apply", SHOP, "--adopt")
    assert status == 0
    assert said.startswith(
        "~ home  https://shop.example/  taken over\n    regexp: by hand -> Shop\n    check_interval_s: 10 -> nothing\n"
        "    labels.managed-by: nothing -> shop\n"
    )
    assert "    active: false -> true\n" in said
    assert "    labels.managed-by: other -> shop\n" in said
    assert said.endswith("shop: 1 added, 2 taken over, 0 changed, 0 unchanged\n")
    assert [one.id for one in records(config).values()] == [1, 2, 3, 4, 5]
    assert run("plan", SHOP)[1] == "shop: 0 to add, 0 to change, 3 unchanged\n"
    assert run("plan", [{"key": "x", "url": "https://x/"}], owner="other")[1] == (
        "other: 0 to add, 0 to change, 1 unchanged\n"
    )


def test_what_was_done_by_hand_to_an_owned_target_is_undone(
    run: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    """The file says how it is to be, and the plan what is not so."""
    run("apply", SHOP)
    set_active(config.database, False, ["1"])
    with connect(config.database, "test") as connection:
        connection.execute(f"""UPDATE {TABLE} SET amc_labels = amc_labels || '{{"by": "hand"}}' WHERE amc_id = 2""")
    assert run("plan", SHOP)[1] == (
        "~ home  https://shop.example/\n    active: false -> true\n"
        "~ cart  https://shop.example/cart\n    labels.by: hand -> nothing\n"
        "shop: 0 to add, 2 to change, 1 unchanged\n"
    )
    run("apply", SHOP)
    assert run("plan", SHOP)[1] == "shop: 0 to add, 0 to change, 3 unchanged\n"


def test_urls_and_keys_may_change_places(run: Callable[..., tuple[int, str, str]], config: Config) -> None:
    """What is stored stays with its URL; no two targets ever have the same."""
    a, b, c = "https://a/", "https://b/", "https://c/"
    run("apply", [{"key": "a", "url": a}, {"key": "b", "url": b}, {"key": "c", "url": c}])
    swapped = [{"key": "a", "url": b}, {"key": "b", "url": a}, {"key": "new", "url": c}]
    assert run("apply", swapped)[1] == (
        "~ a  https://b/\n    labels.managed-key: b -> a\n~ b  https://a/\n    labels.managed-key: a -> b\n"
        "~ new  https://c/\n    labels.managed-key: c -> new\nshop: 0 added, 3 changed, 0 unchanged\n"
    )
    assert {key: (one.id, one.url) for key, one in records(config).items()} == {"a": (2, b), "b": (1, a), "new": (3, c)}
    chain = [{"key": "a", "url": a}, {"key": "b", "url": "https://d/"}, {"key": "new", "url": c}]
    assert run("apply", chain)[1].endswith("shop: 1 added, 1 changed, 1 deactivated, 1 unchanged\n")
    assert run("plan", chain)[1] == "shop: 0 to add, 0 to change, 3 unchanged\n"


def test_values_of_json_that_python_takes_for_the_same_are_changed(
    run: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    """True is not 1; 1 is 1.0, in PostgreSQL too."""

    def target(value: object) -> list[dict[str, Any]]:
        return [{"key": "a", "url": "https://a/", "expected_json": {"$.ok": value}}]

    run("apply", target(1))
    assert run("plan", target(1.0))[1] == "shop: 0 to add, 0 to change, 1 unchanged\n"
    assert run("apply", target(True))[1].startswith("~ a  https://a/\n    expected_json.$.ok: 1 -> true\n")
    assert repr(records(config)["a"].expected_json) == "{'$.ok': True}"


def test_a_program_gets_the_whole_plan(run: Callable[..., tuple[int, str, str]], config: Config) -> None:
    """Without secrets; also of what apply did."""
    add(config.database, TargetRecord(url="https://shop.example/cart"))
    run("apply", [{**SHOP[0], "regexp": "Sale"}])
    status, said, aside = run("plan", SHOP, "-o", "json")
    found = json.loads(said)
    assert (status, aside) == (0, "apply would refuse this: 1 URL is that of other targets\n")
    assert found["conflicts"] == [
        {"key": "cart", "url": "https://shop.example/cart", "target_id": 1, "owner": None, "adoptable": True}
    ]
    change, added = found["changes"]
    assert change == {
        "action": "change",
        "target_id": 2,
        "key": "home",
        "url": "https://shop.example/",
        "fields": {"regexp": {"before": "Sale", "after": "Shop"}},
    }
    assert (added["action"], added["fields"]["headers.X-Key"]) == ("add", {"before": None, "after": "***"})
    assert "hunter" not in said
    done = json.loads(run("apply", SHOP, "--adopt", "-o", "json")[1])
    assert (done["applied"], done["summary"]) == (
        True,
        {"add": 1, "adopt": 1, "change": 1, "deactivate": 0, "remove": 0, "unchanged": 0, "waiting": 0},
    )


def test_many_changes_take_no_more_than_their_number_of_times_as_long(
    run: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    """The table's triggers compare all targets with all: the first statement of a session must not say how."""

    def targets(regexp: str) -> list[dict[str, Any]]:
        return [{"key": f"k{i}", "url": f"https://{i}.example/", "regexp": regexp} for i in range(6_000)]

    run("apply", targets("a"))
    began = time.monotonic()
    assert run("apply", targets("b"))[1].endswith("shop: 0 added, 6,000 changed, 0 unchanged\n")
    many = time.monotonic() - began
    began = time.monotonic()
    assert run("apply", targets("b"))[1].endswith("shop: 0 added, 0 changed, 6,000 unchanged\n")
    assert many < 5 * (time.monotonic() - began) + 2


HOSTILE = [
    "\x1b[2J\x1b[31m",
    "a\nshop: 0 added",
    "‮live",
    "'; DROP TABLE x; --",
    "{table} %s %(owner)s {0}",
    '"],"x":["',
    "\\copy \\N \\.",
    "<script>alert(1)</script>",
    "☃ 🏳️‍🌈 ﷽",
    ",\"'\t",
    "\N{LINE SEPARATOR}x",
    "\x85",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_are_stored_as_they_are_and_shown_in_their_line(
    run: Callable[..., tuple[int, str, str]], config: Config, text: str
) -> None:
    """Whatever a label, a regular expression or a value of JSON holds; the second time nothing is changed."""
    fields = {"labels": {text: text}, "regexp": re.escape(text), "expected_json": {"$.a": {text: [text]}}}
    targets = [{"key": "a", "url": "https://a/", **fields}, {"key": "b", "url": "https://b/", "method": "HEAD"}]
    status, said, _ = run("apply", targets)
    assert status == 0
    assert all(line.isprintable() and (line[0] in "+s" or line.startswith("    ")) for line in said.splitlines())
    assert len(said.splitlines()) == 11
    found = records(config)["a"]
    assert found == attrs.evolve(
        found, labels={text: text, "managed-by": "shop", "managed-key": "a"}, regexp=re.escape(text)
    )
    assert found.expected_json == {"$.a": {text: [text]}}
    assert run("plan", targets)[1] == "shop: 0 to add, 0 to change, 2 unchanged\n"


def test_two_applies_at_once_end_as_one_of_them(
    run: Callable[..., tuple[int, str, str]], config: Config, ready: Path, tmp_path: Path
) -> None:
    """The second waits for the first, and compares anew."""
    files = []
    for name in "ab":
        targets = [{"key": f"k{i}", "url": f"https://{i}.example/", "regexp": name} for i in range(500)]
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(yaml.safe_dump({"owner": "shop", "targets": targets}))
    said: list[tuple[int, str]] = []

    def apply(file: Path) -> None:
        command = [sys.executable, "-c", "from dbadmin.cli import main; main()", "targets", "apply", "--yes"]
        done = subprocess.run(
            [*command, "-f", str(file), "--config", str(ready)], capture_output=True, text=True, check=False
        )
        said.append((done.returncode, (done.stdout + done.stderr).splitlines()[-1]))

    threads = [threading.Thread(target=apply, args=(file,)) for file in (*files, *files)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in said] == [0, 0, 0, 0], said
    assert sum(line.startswith("shop: 500 added") for _, line in said) == 1
    found = list(read_all(config.database))
    assert (len(found), len({one.regexp for one in found})) == (500, 1)


def test_who_has_locked_a_target_to_change_it_and_apply_do_not_wait_for_each_other(
    run: Callable[..., tuple[int, str, str]], config: Config
) -> None:
    """As `targets set` and the API do: each would have what the other needs, and PostgreSQL would end one of them."""
    run("apply", SHOP)
    said: list[tuple[int, str, str]] = []
    changed = [{**SHOP[0], "regexp": "Sale"}, *SHOP[1:]]
    apply = threading.Thread(target=lambda: said.append(run("apply", changed)))
    with connect(config.database, "test") as other:
        other.execute(f"SELECT FROM {TABLE} WHERE amc_id = 1 FOR UPDATE")
        apply.start()
        with connect(config.database, "test", autocommit=True) as watching:
            until(lambda: bool(watching.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall()))
        other.execute(f"UPDATE {TABLE} SET amc_regexp = 'by hand' WHERE amc_id = 1")
    apply.join()
    assert said[0][0] == 0, said
    assert "    regexp: by hand -> Sale\n" in said[0][1]


@pytest.mark.parametrize(("answer", "status", "there"), [("y", 0, 3), ("n", 1, 0)])
def test_a_person_is_asked(
    run: Callable[..., tuple[int, str, str]],
    config: Config,
    ready: Path,
    tmp_path: Path,
    answer: str,
    status: int,
    there: int,
) -> None:
    """After the difference was shown; without a terminal nothing is done."""
    run("plan", SHOP)
    command = [sys.executable, "-c", "from dbadmin.cli import main; main()", "targets", "apply", "-f"]
    command += [str(tmp_path / "targets.yaml"), "--config", str(ready)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nobody can be asked here: --yes changes targets without a question" in done.stderr
    master, terminal = pty.openpty()
    process = subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(terminal)
    os.write(master, f"{answer}\n".encode())
    said, aside = process.communicate(timeout=120)
    os.close(master)
    assert (process.returncode, "Do this? [y/N]: " in aside) == (status, True), aside
    assert "shop: 3 to add, 0 to change, 0 unchanged\n" in said
    assert ("shop: 3 added, 0 changed, 0 unchanged\n" in said) == (status == 0)
    assert len(list(read_all(config.database))) == there


def test_what_changed_after_the_question_is_not_done(
    run: Callable[..., tuple[int, str, str]], config: Config, ready: Path, tmp_path: Path
) -> None:
    """A person agreed to another plan."""
    run("plan", SHOP)
    command = [sys.executable, "-c", "from dbadmin.cli import main; main()", "targets", "apply", "-f"]
    command += [str(tmp_path / "targets.yaml"), "--config", str(ready)]
    master, terminal = pty.openpty()
    process = subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(terminal)
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith(" unchanged\n"):
            break
    add(config.database, TargetRecord(url="https://shop.example/cart", labels={"managed-by": "shop"}))
    os.write(master, b"y\n")
    _, aside = process.communicate(timeout=120)
    os.close(master)
    assert process.returncode == 1
    assert aside.endswith(": somebody else changed targets meanwhile: nothing was changed, run it again\n")
    assert [one.id for one in read_all(config.database)] == [1]
