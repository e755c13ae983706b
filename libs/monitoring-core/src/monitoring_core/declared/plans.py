"""What has to change so that the targets of an owner are as declared: compared without a database.

A target is the same one when its URL is the same, and else when its key is: what is stored of a website stays with it
when its key changes, and no two targets ever need the URL of each other.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import attrs

from monitoring_core.declared.ownership import key_of, owner_of
from monitoring_core.targets import TargetRecord, without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitoring_core.declared.declaration import Declaration, Declared

# So few may always go, if they are not all.
FEW = 5
_FIELDS = tuple(name for name in attrs.fields_dict(TargetRecord) if name != "id")


class Action(enum.StrEnum):
    """What happens to a target."""

    ADD = "add"
    ADOPT = "adopt"
    CHANGE = "change"
    DEACTIVATE = "deactivate"
    REMOVE = "remove"

    @property
    def goes(self) -> bool:
        """Whether a target is no longer watched then."""
        return self in (Action.DEACTIVATE, Action.REMOVE)


@attrs.frozen
class Change:
    """One target that has to change.

    Attributes:
        before: as it is, None if it is to be added; after: as it is to be, None if it is to go.
    """

    action: Action
    key: str
    before: TargetRecord | None
    after: TargetRecord | None


@attrs.frozen
class Conflict:
    """A declared target whose URL another one has.

    Attributes:
        owner: whose that one is; None if nobody's.
        adoptable: whether it may be taken over.
    """

    declared: Declared
    target_id: int
    owner: str | None
    adoptable: bool

    def __str__(self) -> str:
        whose = f"belongs to {self.owner}" if self.owner else "belongs to nobody"
        return f"{without_credentials(self.declared.record.url)} is target {self.target_id}, which {whose}"


@attrs.frozen
class Plan:
    """All that has to change.

    Attributes:
        conflicts: declared targets that are left out, because their URLs are those of other targets.
        unchanged: how many are as declared.
        waiting: how many may not be watched yet.
        present: how many of the owner's targets could go.
    """

    owner: str
    changes: tuple[Change, ...]
    conflicts: tuple[Conflict, ...]
    unchanged: int
    waiting: int
    present: int

    def count(self, *actions: Action) -> int:
        """How many targets have one of these changes."""
        return sum(change.action in actions for change in self.changes)

    def goes_too_far(self, percent: int) -> bool:
        """Whether more than this part of the owner's targets would go: all of them, or more than a few."""
        gone = self.count(Action.DEACTIVATE, Action.REMOVE)
        return 100 * gone > percent * self.present and (gone == self.present or gone > FEW)

    def refusal(self, max_gone: int, too_far: str, *, whole: bool = True) -> str | None:
        """Why this is not carried out, or None.

        Args:
            max_gone: the part of the owner's targets that may go, in percent.
            too_far: a sentence with places for what would go and for this part, in words of whoever set it.
            whole: as in Declaration.
        """
        if self.conflicts and whole:
            urls = f"{_counted(len(self.conflicts), 'URL')} {'is that' if len(self.conflicts) == 1 else 'are those'}"
            return f"{urls} of other targets"
        if self.goes_too_far(max_gone):
            gone = self.count(Action.DEACTIVATE, Action.REMOVE)
            return too_far.format(f"{gone:,} of {_counted(self.present, 'target')}", max_gone)
        return None


@attrs.frozen
class Way:
    """How targets are made as declared.

    Attributes:
        adopt: targets with a declared URL that belong to nobody, or that their owner let go, are taken over.
        remove: what is no longer declared is removed; else it is deactivated.
    """

    adopt: bool = False
    remove: bool = False


def make_plan(declaration: Declaration, known: Iterable[TargetRecord], way: Way) -> Plan:
    """What has to change.

    Args:
        known: at least all targets of the owner, and all that have one of the declared URLs.
    """
    return _Planning(declaration, tuple(known), way).plan()


class _Planning:
    def __init__(self, declaration: Declaration, known: Sequence[TargetRecord], way: Way) -> None:
        self._declaration = declaration
        self._way = way
        self._by_url = {record.url: record for record in known}
        self._own = [record for record in known if owner_of(record) == declaration.owner]
        urls = {declared.record.url for declared in declaration.targets}
        # Of several with one key, all but one were let go.
        self._by_key = {
            key_of(record): record
            for record in sorted(self._own, key=lambda record: (record.active, -(record.id or 0)))
            if record.url not in urls
        }
        self._kept: set[int | None] = set()
        self._changes: list[Change] = []
        self._conflicts: list[Conflict] = []
        self._unchanged = self._waiting = 0

    def plan(self) -> Plan:
        for declared in self._declaration.targets:
            self._compare(declared)
        gone = [record for record in self._own if record.id not in self._kept and not self._is_held(record)]
        for record in gone:
            self._let_go(record)
        return Plan(
            owner=self._declaration.owner,
            changes=tuple(self._changes),
            conflicts=tuple(self._conflicts),
            unchanged=self._unchanged,
            waiting=self._waiting,
            present=sum(record.active or self._way.remove for record in self._own),
        )

    def _compare(self, declared: Declared) -> None:
        found, action = self._by_url.get(declared.record.url), Action.CHANGE
        if found and (owner := owner_of(found)) != self._declaration.owner:
            adoptable = owner is None or not found.active
            if not (adoptable and self._way.adopt):
                self._conflicts.append(Conflict(declared, found.id or 0, owner, adoptable))
                return
            action = Action.ADOPT
        found = found or self._by_key.get(declared.key)
        if found:
            self._kept.add(found.id)
        if not declared.addable and not (found and found.active):
            self._waiting += 1
        elif found:
            self._change(action, declared, found)
        else:
            self._changes.append(Change(Action.ADD, declared.key, None, declared.record))

    def _change(self, action: Action, declared: Declared, found: TargetRecord) -> None:
        after = attrs.evolve(declared.record, id=found.id)
        if all(same(getattr(found, name), getattr(after, name)) for name in _FIELDS):
            self._unchanged += 1
        else:
            self._changes.append(Change(action, declared.key, found, after))

    def _is_held(self, record: TargetRecord) -> bool:
        return key_of(record).startswith(self._declaration.held)

    def _let_go(self, record: TargetRecord) -> None:
        if self._way.remove:
            self._changes.append(Change(Action.REMOVE, key_of(record), record, None))
        elif record.active:
            after = attrs.evolve(record, active=False)
            self._changes.append(Change(Action.DEACTIVATE, key_of(record), record, after))


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same in PostgreSQL, also within JSON: 1 is 1.0, but not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
