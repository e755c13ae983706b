"""What is different in a target: each field as it was and as it is to be, without what may be a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from monitoring_core.declared.plans import same
from monitoring_core.targets.masked import SHOWN, shown

if TYPE_CHECKING:
    from monitoring_core.declared.plans import Change
    from monitoring_core.targets import TargetRecord

_NONE = (None, None)
_PLACES = {name: place for place, name in enumerate(SHOWN)}


@attrs.frozen
class Difference:
    """A field, or one named part of it, that has another value; None stands for no value."""

    field: str
    old: Any
    new: Any


def differences(change: Change) -> list[Difference]:
    """What is different in a target, the fields in the order SHOWN."""
    before, after = _values(change.before), _values(change.after)
    names = sorted(before.keys() | after.keys(), key=lambda name: (_PLACES[name[0]], name[1]))
    return [
        Difference(".".join(filter(None, name)), before.get(name, _NONE)[1], after.get(name, _NONE)[1])
        for name in names
        if not same(before.get(name, _NONE)[0], after.get(name, _NONE)[0])
    ]


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
