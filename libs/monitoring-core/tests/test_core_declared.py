"""What is declared of targets: what is wrong with it, what would change, and the statements that change it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from monitoring_core.declared.carrying import carry_out, compare
from monitoring_core.declared.declaration import Declaration, Declared
from monitoring_core.declared.items import MAX_REPORTED, Items
from monitoring_core.declared.plans import Action, Plan, Way, make_plan
from monitoring_core.targets import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Mapping


def declaration(*targets: tuple[str, str], regexp: str | None = None) -> Declaration:
    """Targets of shop by their keys and URLs."""
    records = [(key, TargetRecord(url=url, regexp=regexp)) for key, url in targets]
    return Declaration("shop", tuple(Declared.of("shop", key, record, key) for key, record in records))


FAULTS: dict[str, tuple[object, list[str]]] = {
    "good": ({"key": "a", "url": "https://a.example/"}, []),
    "no target": (5, ["t: must be a target like {key: home, url: https://example.org/}, got 5"]),
    "a URL alone": (
        "https://me:hunter2@x/",
        ["t: must be a target like {key: home, url: https://example.org/}, got 'https://x/'"],
    ),
    "empty": ({}, ["t.key: is required", "t.url: is required"]),
    "an id": (
        {"key": "a", "url": "https://a.example/", "id": 1},
        ["t.id: is given by PostgreSQL; a declared target has a key"],
    ),
    "labels of ours": (
        {"key": "a", "url": "https://a.example/", "labels": {"managed-key": "b"}},
        ["t.labels.managed-key: is set by apply, from owner and key"],
    ),
    "taken": (
        {"key": "taken", "url": "https://me:hunter2@taken.example/"},
        ["t.key: taken is that of first too", "t.url: https://taken.example/ is that of first too"],
    ),
}


@pytest.mark.parametrize(("item", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_declared_target_is_good_or_its_faults_are_told(item: object, said: list[str]) -> None:
    """Each with its path, without secrets."""
    items = Items()
    assert items.judge({"key": "taken", "url": "https://me:hunter2@taken.example/"}, "first", "first")[1] == []
    record, faults = items.judge(item, "t", "t")
    assert ([f"{path}: {message}" for path, message in faults], record is None) == (said, bool(said))


def test_a_target_of_many_unknown_fields_is_judged_in_no_time() -> None:
    """Whoever sends them should not keep others waiting."""
    _, faults = Items().judge({f"x{i}": i for i in range(100_000)}, "t", "t")
    assert len(faults) <= MAX_REPORTED + 10


@pytest.mark.parametrize(
    ("present", "left", "max_gone", "refusal"),
    [(6, 1, 25, None), (7, 1, 25, "6 of 7 targets: 25"), (1, 0, 25, "1 of 1 target: 25"), (1, 0, 100, None)],
)
def test_a_plan_by_which_too_many_would_go_is_refused(
    present: int, left: int, max_gone: int, refusal: str | None
) -> None:
    """In the words of whoever has set the bound."""
    targets = [(f"k{i}", f"https://{i}.example/") for i in range(present)]
    known = [attrs.evolve(one.record, id=i) for i, one in enumerate(declaration(*targets).targets, 1)]
    plan = make_plan(declaration(*targets[:left]), known, Way())
    assert plan.refusal(max_gone, "{}: {}") == refusal


def test_targets_that_are_others_refuse_a_plan_that_is_done_as_a_whole() -> None:
    plan = make_plan(declaration(("a", "https://a/")), [TargetRecord(url="https://a/", id=7)], Way())
    assert plan.refusal(0, "") == "1 URL is that of other targets"
    assert plan.refusal(0, "", whole=False) is None
    assert [str(one) for one in plan.conflicts] == ["https://a/ is target 7, which belongs to nobody"]


def test_what_goes_is_changed_first_and_what_is_unchanged_not_at_all() -> None:
    """Others may take over what it has; a plan of nothing runs no statement."""
    ran: list[tuple[str, Mapping[str, object]]] = []
    old = declaration(("a", "https://a/"), ("b", "https://b/"), ("c", "https://c/"))

    def run(statement: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
        ran.append((statement.split()[0], values))
        return []

    carry_out(run, Plan("shop", (), (), 3, 0, 3))
    assert ran == []
    new = declaration(("a", "https://a/"), ("d", "https://d/"), regexp="x")
    known = [attrs.evolve(one.record, id=i) for i, one in enumerate(old.targets, 1)]
    plan = make_plan(new, known, Way(remove=True))
    assert [change.action for change in plan.changes] == [Action.CHANGE, Action.ADD, Action.REMOVE, Action.REMOVE]
    carry_out(run, plan)
    assert [statement for statement, _ in ran] == ["DELETE", "UPDATE", "INSERT"]
    assert ran[0][1] == {"ids": [2, 3]}
    (changed,) = json.loads(str(ran[1][1]["rows"]))
    assert (changed["amc_id"], changed["amc_regexp"], changed["amc_labels"]["managed-by"]) == (1, "x", "shop")


def test_what_is_compared_has_its_version() -> None:
    """By which anybody knows later that it is another one."""
    row = {"id": 7, "url": "https://a/", "labels": {"managed-by": "shop", "managed-key": "a"}, "version": "4711"}
    compared = compare(lambda *_: [row], declaration(("a", "https://a/")), Way())
    assert (compared.plan.unchanged, compared.versions) == (1, {7: "4711"})
