"""Counts the slots of a time by what became of them: from days and hours, and row by row only where an hour is cut."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dbadmin.reports.figures import Counts
from dbadmin.reports.moments import HOUR_MS, moment
from dbadmin.reports.reading import Seats
from monitoring_core.due import milliseconds, slot_count

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from dbadmin.reports.pieces import Cuts, Kind, Piece
    from dbadmin.reports.reading import Reading

Seat = tuple[int, str]
# Target, location, plan, and the rows of an hour that were up, down and unknown.
_Cut = tuple[int, str, int, tuple[int, int, int]]


class Counting:
    """Counts for many targets at once. Targets whose time is cut alike share a plan.

    Attributes:
        inexact: how many hours of a target at a location were counted whole, because their rows are gone.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._plans: list[Cuts] = []
        self._numbers: dict[int, int] = {}
        self._seats = Seats()
        self._kinds: list[Kind] = []
        self._kind_numbers: dict[Kind, int] = {}
        self._counts: dict[Seat, dict[Kind, Counts]] = defaultdict(lambda: defaultdict(Counts))
        self.inexact = 0

    def add(self, target_id: int, location: str, cuts: Cuts) -> None:
        """Count for a target at a location; targets that are cut alike have the same object."""
        plan = self._numbers.get(id(cuts))
        if plan is None:
            plan = self._numbers[id(cuts)] = len(self._plans)
            self._plans.append(cuts)
        self._seats.add(target_id, location, plan)
        found = self._counts[target_id, location]
        for piece in cuts.pieces:
            assert piece.kind
            found[piece.kind].due += slot_count(target_id, piece.kind.interval_s, piece.begin, piece.end)

    def count(self) -> dict[Seat, dict[Kind, Counts]]:
        """Read the rows; returns the counts by target, location and kind."""
        for view, wholes in (("daily", [c.days for c in self._plans]), ("hourly", [c.hours for c in self._plans])):
            kinds = [
                (plan, moment(start), self._kind_number(kind))
                for plan, some in enumerate(wholes)
                for start, kind in some.items()
            ]
            for target_id, location, number, *rows in self._reading.sums(view, self._seats, kinds):
                self._counts[target_id, location][self._kinds[number]].add(*rows)
        for hour, some in sorted(self._cut_hours().items()):
            self._count_parts(hour, some)
        return self._counts

    def _kind_number(self, kind: Kind) -> int:
        if kind not in self._kind_numbers:
            self._kind_numbers[kind] = len(self._kinds)
            self._kinds.append(kind)
        return self._kind_numbers[kind]

    def _cut_hours(self) -> dict[dt.datetime, list[_Cut]]:
        """The hours whose rows must be read, by their beginning; those that tell without it are counted."""
        hours = [(plan, moment(hour)) for plan, cuts in enumerate(self._plans) for hour in cuts.parts]
        left: dict[dt.datetime, list[_Cut]] = defaultdict(list)
        for target_id, location, plan, hour, up, down, unknown in self._reading.hours(self._seats, hours):
            rows = (up, down, unknown)
            parts = self._plans[plan].parts[milliseconds(hour)]
            if (each := _told(target_id, parts, rows)) is None:
                left[hour].append((target_id, location, plan, rows))
                continue
            for part, counted in zip(parts, each, strict=True):
                assert part.kind
                self._counts[target_id, location][part.kind].add(*counted)
        return left

    def _count_parts(self, hour: dt.datetime, some: Sequence[_Cut]) -> None:
        start = milliseconds(hour)
        seats = Seats()
        for target_id, location, plan, _ in some:
            seats.add(target_id, location, plan)
        parts = [
            (plan, number, moment(part.begin), moment(part.end))
            for plan in sorted(set(seats.plans))
            for number, part in enumerate(self._plans[plan].parts[start])
        ]
        found: dict[Seat, dict[int, list[int]]] = defaultdict(dict)
        for target_id, location, number, *rows in self._reading.parts(seats, parts):
            found[target_id, location][number] = rows
        for target_id, location, plan, rolled_up in some:
            counted = found[target_id, location]
            here = self._plans[plan].parts[start]
            if sum(map(sum, counted.values())) < sum(rolled_up):
                # Rows are gone: nobody can say what they were in which part.
                self.inexact += 1
                longest = max((part for part in here if part.kind), key=lambda part: part.end - part.begin)
                counted = {here.index(longest): list(rolled_up)}
            for number, rows in counted.items():
                if kind := here[number].kind:
                    self._counts[target_id, location][kind].add(*rows)


def _told(target_id: int, parts: Sequence[Piece], rows: tuple[int, int, int]) -> list[tuple[int, int, int]] | None:
    """How the rows of an hour are spread over its parts, where that is plain: each slot has one, and all are alike."""
    intervals = {part.kind.interval_s if part.kind else None for part in parts}
    if len(intervals) > 1 or sum(map(bool, rows)) != 1:
        return None
    (interval_s,) = intervals
    assert interval_s
    if sum(rows) != slot_count(target_id, interval_s, parts[0].begin, parts[0].begin + HOUR_MS):
        return None
    up, down, unknown = map(bool, rows)
    each = [slot_count(target_id, interval_s, part.begin, part.end) for part in parts]
    return [(n * up, n * down, n * unknown) for n in each]
