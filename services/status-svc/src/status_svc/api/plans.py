"""Plans as answers: what changes and what cannot, without secrets, and a tag by which a plan is known again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from monitoring_core.declared.differences import change_for_programs, conflict_for_programs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring_core.declared.carrying import Compared
    from status_svc.api.declarations import Asked

# So many bytes of changes and conflicts are told. It is enough for all that a request can declare.
MAX_TOLD = 16 << 20


def shown(compared: Compared, asked: Asked) -> dict[str, Any]:
    """A plan as an answer: changes and conflicts as far as there is room, and how many are left out."""
    plan, room = compared.plan, _Room()
    conflicts = room.take(map(conflict_for_programs, plan.conflicts))
    changes = room.take(map(change_for_programs, plan.changes))
    return {
        "owner": plan.owner,
        "changes": changes,
        "conflicts": conflicts,
        "unchanged": plan.unchanged,
        "left_out": len(plan.changes) + len(plan.conflicts) - len(changes) - len(conflicts),
        "refusal": refusal(compared, asked),
    }


def refusal(compared: Compared, asked: Asked) -> str | None:
    """Why a plan is not carried out, or None."""
    return compared.plan.refusal(asked.max_gone, "{} would go, and max_gone is {}")


def tag_of(compared: Compared) -> str:
    """The ETag of a plan: the same as long as the same would be done to the same targets.

    Nothing of it tells the headers and bodies that there are: of targets as they are, it has the versions alone.
    """
    plan, versions = compared.plan, compared.versions
    digest = hashlib.sha256(plan.owner.encode())
    for change in plan.changes:
        of = change.before and change.before.id
        # What a declared target is to be. One that goes stays as it is otherwise, or has nothing.
        wanted = None if change.action.goes else change.after
        digest.update(msgspec.json.encode([change.action, change.key, of, versions.get(of or 0), wanted]))
    for conflict in plan.conflicts:
        of, adoptable = conflict.target_id, conflict.adoptable
        digest.update(msgspec.json.encode([conflict.declared.key, of, versions[of], adoptable]))
    return f'"{digest.hexdigest()[:32]}"'


class _Room:
    """What there is left of MAX_TOLD."""

    def __init__(self) -> None:
        self._left = MAX_TOLD

    def take(self, values: Iterable[dict[str, Any]]) -> list[msgspec.Raw]:
        """The first of the values, as many as there is room for."""
        taken = []
        for value in values:
            content = msgspec.json.encode(value)
            if len(content) > self._left:
                self._left = 0
                break
            self._left -= len(content)
            taken.append(msgspec.Raw(content))
        return taken
