"""What each location has seen of a target lately, and the votes that follow from it.

A location has a seat of three numbers: its newest slot, and two masks, whose bit i stands for the slot i before that.
The first says which slots were bad; the second, which slots have said something at all: an unknown result says nothing.
"""

from __future__ import annotations

import enum
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

# As many bits as a signed number of 64 bits has room for, with one to spare.
WIDTH = 62
_MASK = (1 << WIDTH) - 1
NEVER = -1
# Targets that are seen from the same places share one tuple of their names.
_NAMES: dict[tuple[str, ...], tuple[str, ...]] = {}


def shared_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same names, as one object for all that have them."""
    return _NAMES.setdefault(names, names)


@lru_cache(maxsize=1024)
def shared_slot(slot: int) -> int:
    """The same number, as one object for all targets that are at this slot."""
    return slot


class Mark(enum.IntEnum):
    """What a result says about what a policy watches for."""

    NOTHING = 0
    GOOD = 1
    BAD = 2


class Noted(enum.IntEnum):
    """What a result has changed in its seat."""

    NEWEST = 0
    FILLED = 1
    REPEATED = 2
    TOO_OLD = 3


class Rule(NamedTuple):
    """When a location counts as failing and as recovered.

    Attributes:
        bad: this many of the last slots must be bad.
        window: a mask of the last slots.
        good: a location has recovered after this many good slots since its last bad one.
    """

    bad: int
    window: int
    good: int


class Votes(NamedTuple):
    """The locations at one slot, counted.

    Attributes:
        failing: bad often enough, and not recovered since.
        bad: bad at this slot.
        recovered: good often enough.
        good: good at this slot.
        cast: those that say something; all that are bad or good.
        awaited: their result for this slot may still come in time.
    """

    failing: int
    bad: int
    recovered: int
    good: int
    cast: int
    awaited: int


def seats(count: int, newest: int) -> array[int]:
    """Seats of locations that have seen nothing yet and are waited for from the slot after `newest` on."""
    return array("q", [newest, 0, 0] * count)


def gone(cells: array[int], slot: int) -> int | None:
    """The seat of the location that was heard longest ago, if nothing that it said counts at a slot any more."""
    seat = min(range(len(cells) // 3), key=lambda one: cells[3 * one])
    return seat if slot - cells[3 * seat] >= WIDTH else None


def note(cells: array[int], seat: int, slot: int, mark: Mark) -> Noted:
    """Note what a location saw at a slot. A real result replaces an unknown one, and nothing replaces a real one."""
    at = 3 * seat
    newest = cells[at]
    if slot > newest:
        gap = slot - newest
        kept = newest != NEVER and gap < WIDTH
        cells[at] = slot
        cells[at + 1] = ((cells[at + 1] << gap) & _MASK if kept else 0) | (mark == Mark.BAD)
        cells[at + 2] = ((cells[at + 2] << gap) & _MASK if kept else 0) | (mark != Mark.NOTHING)
        return Noted.NEWEST
    if newest - slot >= WIDTH:
        return Noted.TOO_OLD
    bit = 1 << newest - slot
    if mark == Mark.NOTHING or cells[at + 2] & bit:
        return Noted.REPEATED
    cells[at + 2] |= bit
    if mark == Mark.BAD:
        cells[at + 1] |= bit
    return Noted.FILLED


def count(cells: array[int], slot: int, due: int, rule: Rule) -> Votes:
    """The votes at a slot. A location without a result for it votes by that of the slot before, if there is one.

    Args:
        due: results of this slot and of those before it should have come; None that are later are waited for.
    """
    failing = now_bad = recovered = now_good = awaited = 0
    for at in range(0, len(cells), 3):
        back = cells[at] - slot
        if back < 0 and cells[at] >= due:
            awaited += 1
            continue
        back = said_back(cells, at, back)
        if back < 0:
            continue
        bad = cells[at + 1] >> back
        if bad & 1:
            now_bad += 1
            failing += (bad & rule.window).bit_count() >= rule.bad
            continue
        now_good += 1
        since = (bad & -bad) - 1 if bad else _MASK
        if (cells[at + 2] >> back & since).bit_count() >= rule.good:
            recovered += 1
        elif bad:
            failing += (bad & rule.window).bit_count() >= rule.bad
    return Votes(failing, now_bad, recovered, now_good, now_bad + now_good, awaited)


def said_back(cells: array[int], at: int, back: int) -> int:
    """How far back the result lies that a location votes by, -1 when it has none.

    Args:
        at: where its seat begins.
        back: how far back the slot lies that is voted on; negative when that slot is newer than all of its results.
    """
    if back == -1:
        return 0 if cells[at + 2] & 1 else -1
    if back < 0 or back >= WIDTH:
        return -1
    said = cells[at + 2] >> back
    return back if said & 1 else back + 1 if said & 2 else -1


def said(cells: array[int], seat: int, slot: int, slots: int) -> Sequence[tuple[int, bool]]:
    """The results that a vote rests on, the newest first: slot, and whether it was bad."""
    at = 3 * seat
    first = said_back(cells, at, cells[at] - slot)
    if first < 0:
        return ()
    window = range(first, min(first + slots, WIDTH))
    return [(cells[at] - back, bool(cells[at + 1] >> back & 1)) for back in window if cells[at + 2] >> back & 1]
