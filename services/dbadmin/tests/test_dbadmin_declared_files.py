"""Files of targets: what is refused, with the line of every fault, and that applying files ends with the last one."""

from __future__ import annotations

import datetime as dt
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console

from dbadmin.cli import main
from dbadmin.commands.progress import doing
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.targets.applying import apply_targets, plan_targets
from dbadmin.targets.declared_files import MAX_BYTES, read_declaration
from dbadmin.targets.table import read_all
from monitoring_core.config import DatabaseConfig
from monitoring_core.declared.declaration import Declaration, Declared
from monitoring_core.declared.ownership import owned, owner_of
from monitoring_core.declared.plans import Action, Way, make_plan, same
from monitoring_core.errors import StopError
from monitoring_core.targets import TargetRecord
from monitoring_core.testing.strategies import records
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

BAD = Path(__file__).with_name("bad_targets")
GOOD = "owner: shop\ntargets:\n  - {key: home, url: 'https://shop.example/'}\n"


def faults(*names: str, owner: str | None = None) -> str:
    with pytest.raises(StopError) as caught:
        read_declaration(names, owner)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.yaml")))
def test_a_bad_file_is_refused_with_this_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fault at once, each with its line; and no secret."""
    monkeypatch.chdir(BAD)
    said = faults(f"{name}.yaml")
    assert said + "\n" == (BAD / f"{name}.expected").read_text()
    assert "hunter" not in said


def test_the_example_of_the_readme_is_good(tmp_path: Path) -> None:
    """As it stands there."""
    section = (Path(__file__).parents[1] / "README.md").read_text().split("\n## Targets as code\n")[1]
    (tmp_path / "targets.yaml").write_text(section.split("```yaml\n")[1].split("```")[0])
    found = read_declaration([str(tmp_path / "targets.yaml")], None)
    assert (found.owner, [target.key for target in found.targets]) == ("shop", ["home", "cart"])


def test_secrets_come_from_variables_that_are_for_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In headers and bodies; whoever writes a file names no other variable, and no secret is in a fault."""
    monkeypatch.setenv("TARGET_SHOP", "hunter2")
    monkeypatch.setenv("TARGET_BAD", "hunter3\n☃")
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter4")
    file = tmp_path / "t.yaml"
    file.write_text("""owner: shop
targets:
  - key: a
    url: https://a/
    method: POST
    headers: {Authorization: {env: TARGET_SHOP}, Accept: text/html}
    body: {env: TARGET_SHOP}
""")
    (found,) = read_declaration([str(file)], None).targets
    assert (found.record.headers, found.record.body) == (
        {"Authorization": "hunter2", "Accept": "text/html"},
        "hunter2",
    )
    file.write_text("""owner: shop
targets:
  - key: a
    url: {env: TARGET_SHOP}
    headers:
      A: {env: DATABASE_PASSWORD}
      B: {env: TARGET_NONE}
      C: {file: /etc/passwd}
      D: {env: TARGET_SHOP, file: x}
    regexp: {env: TARGET_SHOP}
  - key: b
    url: https://b/
    headers: {X: {env: TARGET_BAD}}
""")
    reference = "must be text, or a variable of the environment like {env: TARGET_SHOP}"
    said = faults(str(file)).replace(f"{file}:", "")
    assert said.splitlines() == [
        "4 targets[0].url: must be text, got an object",
        f"6 targets[0].headers.A: {reference}",
        "7 targets[0].headers.B: the environment variable TARGET_NONE is not set",
        f"8 targets[0].headers.C: {reference}",
        f"9 targets[0].headers.D: {reference}",
        "10 targets[0].regexp: must be text, got an object",
        "13 targets[1].headers: the value of X holds a character that no header may hold, or is too long",
    ]
    assert "hunter" not in said


def test_files_and_folders_are_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder by the names of its files, without hidden ones; a file that is named twice once."""
    (tmp_path / "b.yaml").write_text("targets:\n  - {key: b, url: 'https://b/'}\n")
    (tmp_path / "a.yml").write_text("owner: shop\ntargets:\n  - {key: a, url: 'https://a/'}\n")
    (tmp_path / "..data").mkdir()
    (tmp_path / ".hidden.yaml").write_text("[")
    (tmp_path / "README.md").write_text("[")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    found = read_declaration([str(tmp_path), str(tmp_path / "b.yaml"), "-"], None)
    assert (found.owner, [target.key for target in found.targets]) == ("shop", ["a", "b", "home"])
    assert [target.place for target in found.targets] == [f"{tmp_path}/a.yml:3", f"{tmp_path}/b.yaml:2", "-:3"]
    assert found.targets[1].record.labels == {"managed-by": "shop", "managed-key": "b"}


def test_what_several_files_have_in_common_is_a_fault(tmp_path: Path) -> None:
    """An owner of another name, and keys and URLs that are given twice; each names the other place."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(GOOD)
    second.write_text(GOOD.replace("shop\n", "web\n"))
    assert faults(str(tmp_path)).splitlines() == [
        f"{second}:1 owner: is not that of {first}:1 (shop)",
        f"{second}:3 targets[0].key: home is that of {first}:3 too",
        f"{second}:3 targets[0].url: https://shop.example/ is that of {first}:3 too",
    ]
    assert faults(str(first), owner="web") == f"{first}:1 owner: is not that of --owner (web)"
    assert read_declaration([str(first)], "shop").owner == "shop"


def test_what_cannot_be_read_is_said_with_all_else(tmp_path: Path) -> None:
    """A missing file, an empty folder, and a file that is too large."""
    large = tmp_path / "large.yaml"
    large.write_text(GOOD + "#" * MAX_BYTES)
    missing = tmp_path / "missing.yaml"
    assert faults(str(missing), str(large)).splitlines() == [
        f"{missing}: cannot be read: No such file or directory",
        f"{large}: is larger than 4096 KiB",
    ]
    (tmp_path / "empty").mkdir()
    assert faults(str(tmp_path / "empty")) == f"{tmp_path}/empty: has no file that ends in .yaml or .yml"


def test_a_hundred_faults_are_told_and_how_many_there_are(tmp_path: Path) -> None:
    """Ten thousand wrong lines do not fill a terminal, and take no time."""
    file = tmp_path / "t.yaml"
    file.write_text("owner: shop\ntargets:\n" + "".join(f"  - {{key: k{i}, url: x{i}}}\n" for i in range(10_000)))
    said = faults(str(file)).splitlines()
    assert (len(said), said[-1]) == (101, "and 9,900 more")
    assert said[99] == f"{file}:102 targets[99].url: must begin with http:// or https://, got 'x99'"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan"], "nothing to read: name a file, like -f targets.yaml"),
        (["plan", "-f", "x", "--from", "kubernetes"], "-f and --from are two sources: give one of them"),
        (["plan", "-f", "x", "--grace", "0s"], "--context, --namespace, --grace and --opt-in need --from kubernetes"),
        (["plan", "--from", "kubernetes", "--namespace", "a"], "--namespace needs --owner: whose the targets of these"),
        (["plan", "-f", "x", "--owner", "a b"], "must be at most 100 letters, digits, dots"),
        (["plan", "-f", "x", "--max-gone", "101"], "101 is not in the range 0<=x<=100"),
        (["apply", "-f", "-"], "nobody can be asked here: --yes changes targets without a question"),
    ],
)
def test_wrong_usage_is_said(arguments: list[str], said: str, tmp_path: Path) -> None:
    """Status 2, and nothing is read or connected."""
    config = tmp_path / "config.yaml"
    config.write_text("kafka: {bootstrap_servers: 'k:1'}\ndatabase: {host: h, user: u}\n")
    done = CliRunner().invoke(main, ["targets", *arguments, "--config", str(config)])
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_being_done_is_shown_on_a_terminal_alone(terminal: bool) -> None:
    """A file gets none of it."""
    screen = io.StringIO()
    with doing("comparing", Console(file=screen, force_terminal=terminal, width=80, color_system=None)):
        pass
    assert ("comparing" in screen.getvalue()) == terminal
    assert terminal or screen.getvalue() == ""


def declaration(fields: Sequence[tuple[str, TargetRecord]], owner: str = "shop") -> Declaration:
    """Targets by their keys, each as a file would have it."""
    made = [
        Declared(key, attrs.evolve(record, id=None, labels=owned(record.labels, owner, key)), "")
        for key, record in fields
    ]
    return Declaration(owner, tuple(made))


# Few keys and URLs, so that they meet in every way.
_targets = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from("uvwxyz"), records()),
    max_size=5,
    unique_by=(lambda one: one[0], lambda one: one[1]),
).map(lambda found: [(key, attrs.evolve(record, url=f"https://{host}/")) for key, host, record in found])


@pytest.fixture(scope="module")
def database(server: str) -> DatabaseConfig:
    """A database for the examples of this module."""
    info: dict[str, Any] = conninfo_to_dict(server)
    port = int(info.get("port", 5432))
    config = DatabaseConfig(host=info["host"], port=port, user="postgres", database="db-declared")
    create_database(config)
    list(create_schema(config, dt.date(2026, 3, 1)))
    return config


@pytest.mark.integration_test
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["shop", "web"]), _targets, st.booleans()), min_size=1, max_size=4))
def test_after_any_files_the_targets_are_as_the_last_one_says(
    database: DatabaseConfig, files: list[tuple[str, list[tuple[str, TargetRecord]], bool]]
) -> None:
    """Of each owner; what one has, another is refused; and a plan of the same file is empty."""
    with connect(database, "test") as connection:
        connection.execute("DELETE FROM monitoring.availability_monitor_config")
    for owner, targets, remove in files:
        before = {one.id: one for one in read_all(database)}
        wanted, way = declaration(targets, owner), Way(remove=remove)
        plan = apply_targets(database, wanted, way, lambda _: None)
        after = {one.id: one for one in read_all(database)}
        assert {one.id for one in before.values() if owner_of(one) != owner} <= after.keys()
        assert all(after[one.id] == one for one in before.values() if owner_of(one) != owner)
        left_out = {conflict.declared.key for conflict in plan.conflicts}
        declared = {one.key: one.record for one in wanted.targets if one.key not in left_out}
        found = [one for one in after.values() if owner_of(one) == owner]
        stays = [one for one in found if one.active or (one.labels or {})["managed-key"] in declared]
        for record in declared.values():
            (same_url,) = [one for one in stays if one.url == record.url]
            assert same(attrs.asdict(attrs.evolve(same_url, id=None)), attrs.asdict(record))
        assert {one.url for one in found if one.active} <= {one.url for one in declared.values()}
        again = plan_targets(database, wanted, way)
        assert (again.changes, again.unchanged) == ((), len(declared))
        if remove:
            assert len(found) == len(declared)


@given(_targets, _targets)
def test_a_plan_counts_every_target_once(
    old: list[tuple[str, TargetRecord]], new: list[tuple[str, TargetRecord]]
) -> None:
    """Each that there is or should be is added, changed, let go or left as it is."""
    known = [attrs.evolve(one.record, id=i) for i, one in enumerate(declaration(old).targets, 1)]
    plan = make_plan(declaration(new), known, Way(remove=True))
    assert plan.count(*Action) + plan.unchanged == len(new) + plan.count(Action.REMOVE)
    assert len(known) == plan.unchanged + plan.count(Action.CHANGE, Action.REMOVE)
    kept = [change.after.url for change in plan.changes if change.after]
    assert len(kept) == len(set(kept))
