"""What is different in a target: each field as it was and as it is to be, without what may be a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from monitoring_core.declared.plans import same
from monitoring_core.targets import without_credentials
from monitoring_core.targets.masked import SHOWN, shown

if TYPE_CHECKING:
    from monitoring_core.declared.plans import Change, Conflict
    from monitoring_core.targets import TargetRecord

_NONE = (None, None)
_PLACES = {name: place for place, name in enumerate(SHOWN)}


@attrs.frozen
class Difference:
    """A field, or one named part of it, that has another value; None stands for no value."""

    field: str
    before: Any
    after: Any


def differences(change: Change) -> list[Difference]:
    """What is different in a target, the fields in the order SHOWN."""
    before, after = _values(change.before), _values(change.after)
    names = sorted(before.keys() | after.keys(), key=lambda name: (_PLACES[name[0]], name[1]))
    return [
        Difference(".".join(filter(None, name)), before.get(name, _NONE)[1], after.get(name, _NONE)[1])
        for name in names
        if not same(before.get(name, _NONE)[0], after.get(name, _NONE)[0])
    ]


def change_for_programs(change: Change) -> dict[str, Any]:
    """A change as JSON has it."""
    record = change.after or change.before
    assert record is not None
    return {
        "action": change.action,
        "key": change.key,
        "target_id": change.before and change.before.id,
        "url": without_credentials(record.url),
        "fields": {one.field: {"before": one.before, "after": one.after} for one in differences(change)},
    }


def conflict_for_programs(conflict: Conflict) -> dict[str, Any]:
    """A conflict as JSON has it."""
    return {
        "key": conflict.declared.key,
        "url": without_credentials(conflict.declared.record.url),
        "target_id": conflict.target_id,
        "owner": conflict.owner,
        "adoptable": conflict.adoptable,
    }


def _values(record: TargetRecord | None) -> dict[tuple[str, str], tuple[Any, Any]]:
    """The values of a target by their fields, or parts of these: each as it is, and as it is shown."""
    found: dict[tuple[str, str], tuple[Any, Any]] = {}
    if record is None:
        return found
    for name, masked in shown(record).items():
        value = getattr(record, name)
        if isinstance(value, dict) and value:
            found |= {(name, part): (value[part], masked[part]) for part in value}  # type: ignore[index] # a dict too
        elif name != "id":
            found[name, ""] = (value, masked)
    return found
