"""A plan for a person or a program: what is added, changed or let go, and each field as it was and as it is to be.

What may be a secret is masked, as in `dbadmin targets show`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from monitoring_core.declared.differences import change_for_programs, conflict_for_programs, differences
from monitoring_core.declared.plans import Action
from monitoring_core.targets import without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.declared.plans import Change, Conflict, Plan

# So many targets are shown to a person.
MAX_TARGETS = 200
_MAX_TEXT = 200
_DONE = {
    Action.ADD: "added",
    Action.ADOPT: "taken over",
    Action.CHANGE: "changed",
    Action.DEACTIVATE: "deactivated",
    Action.REMOVE: "removed",
}
_TO_DO = {
    Action.ADD: "add",
    Action.ADOPT: "take over",
    Action.CHANGE: "change",
    Action.DEACTIVATE: "deactivate",
    Action.REMOVE: "remove",
}


def lines(plan: Plan) -> Iterator[str]:
    """The plan for a person."""
    for conflict in plan.conflicts[:MAX_TARGETS]:
        yield click.style(printable(f"! {conflict.declared.key}  {_told(conflict)}"), fg="red")
    for change in plan.changes[:MAX_TARGETS]:
        yield from _lines(change)
    if (more := max(len(plan.conflicts), len(plan.changes)) - MAX_TARGETS) > 0:
        yield f"and {more:,} more, which -o json has"


def _lines(change: Change) -> Iterator[str]:
    record = change.after or change.before
    assert record is not None
    url = without_credentials(record.url)
    if change.action.goes:
        yield click.style(printable(f"- {change.key}  {url}  {_DONE[change.action]}"), fg="red")
    elif change.action is Action.ADD:
        yield click.style(printable(f"+ {change.key}  {url}"), fg="green")
        for found in differences(change):
            if found.field != "url" and (found.field, found.after) != ("active", True):
                yield printable(f"    {found.field}: {_text(found.after)}")
    else:
        note = "  taken over" if change.action is Action.ADOPT else ""
        yield click.style(printable(f"~ {change.key}  {url}{note}"), fg="yellow")
        for found in differences(change):
            old, new = _text(found.before), _text(found.after)
            yield printable(f"    {found.field}: {f'{old} -> {new}' if old != new else f'{old}, which is another one'}")


def _told(conflict: Conflict) -> str:
    return f"{conflict}{': --adopt takes it over' if conflict.adoptable else ''}"


def _text(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return "nothing" if value is None else text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def printable(text: str) -> str:
    """The text in one line of a terminal, whatever a target holds."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def summary(plan: Plan, done: bool) -> str:
    """How many targets are to change, or were changed."""
    told = [action for action in Action if action in (Action.ADD, Action.CHANGE) or plan.count(action)]
    words = [f"{plan.count(action):,} {_DONE[action] if done else f'to {_TO_DO[action]}'}" for action in told]
    words.append(f"{plan.unchanged:,} unchanged")
    if plan.waiting:
        words.append(f"{plan.waiting:,} waiting")
    return f"{plan.owner}: {', '.join(words)}"


def as_json(plan: Plan, done: bool) -> str:
    """The whole plan for a program."""
    counts = {action.value: plan.count(action) for action in Action}
    whole = {
        "owner": plan.owner,
        "applied": done,
        "summary": counts | {"unchanged": plan.unchanged, "waiting": plan.waiting},
        "changes": list(map(change_for_programs, plan.changes)),
        "conflicts": list(map(conflict_for_programs, plan.conflicts)),
    }
    return json.dumps(whole, ensure_ascii=False, indent=2)
