"""Targets as a source declares them: all that one owner wants, and what is left out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_core.declared.ownership import owned

if TYPE_CHECKING:
    from monitoring_core.targets import TargetRecord


@attrs.frozen
class Declared:
    """One target as it should be.

    Attributes:
        key: its name with its owner, which stays when its URL changes.
        record: without an id, and with the labels that say whose it is.
        place: where a person finds it.
        addable: whether it may be watched from now on; if not, it waits, unless it is watched already.
    """

    key: str
    record: TargetRecord
    place: str
    addable: bool = True

    @classmethod
    def of(cls, owner: str, key: str, record: TargetRecord, place: str) -> Declared:
        """A target of an owner, from a record without these labels."""
        return cls(key, attrs.evolve(record, labels=owned(record.labels, owner, key)), place)


@attrs.frozen
class Declaration:
    """All targets that an owner wants.

    Attributes:
        targets: no two have the same key or URL.
        whole: whether it is done as a whole or not at all; if not, targets whose URLs are taken are left out.
        held: beginnings of keys of which the source cannot tell what is wanted. What is there stays as it is.
        remarks: what a person should know of the source, a line each.
        faults: what is wrong with parts of it, a line each; these parts are held, and all others are good.
    """

    owner: str
    targets: tuple[Declared, ...]
    whole: bool = True
    held: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
