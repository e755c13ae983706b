"""What a report says of a target, or of all together."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from dbadmin.reports.outages import Lengths
from monitoring_core.due import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbadmin.reports.pieces import Kind

_MINUTE_MS = 60_000
# Minutes are given to the hundredth.
_HUNDREDTHS = 100


@attrs.define
class Counts:
    """Slots by what became of them."""

    due: int = 0
    up: int = 0
    down: int = 0
    unknown: int = 0

    def add(self, up: int, down: int, unknown: int) -> None:
        """Count further rows."""
        self.up += up
        self.down += down
        self.unknown += unknown

    def settle(self) -> None:
        """Count every row as due: it was, whatever the schedule says that there should have been."""
        self.due = max(self.due, self.up + self.down + self.unknown)


@attrs.define
class Sums:
    """Counts, and how much time they stand for: of a row its interval, divided by the locations of that time."""

    counts: Counts = attrs.field(factory=Counts)
    down_s: Fraction = Fraction()
    known_s: Fraction = Fraction()

    def add(self, kind: Kind, counts: Counts) -> None:
        """Count further slots of one kind."""
        mine, each = self.counts, Fraction(kind.interval_s, kind.seats)
        mine.due += counts.due
        mine.add(counts.up, counts.down, counts.unknown)
        self.down_s += counts.down * each
        self.known_s += (counts.up + counts.down) * each

    @classmethod
    def of(cls, kinds: Mapping[Kind, Counts]) -> Sums:
        """The sums of a target at a location. Where there are more rows than slots of an interval, each row was due."""
        all_of = cls()
        for interval_s in {kind.interval_s for kind in kinds}:
            sums = cls()
            for kind, counts in kinds.items():
                if kind.interval_s == interval_s:
                    sums.add(kind, counts)
            sums.counts.settle()
            all_of.join(sums)
        return all_of

    def join(self, other: Sums) -> None:
        """Count what another has counted."""
        mine = self.counts
        mine.due += other.counts.due
        mine.add(other.counts.up, other.counts.down, other.counts.unknown)
        self.down_s += other.down_s
        self.known_s += other.known_s


@attrs.frozen
class Figures:
    """The figures of a report.

    Attributes:
        due: slots that were due.
        up, down: of these, those with a row that knows.
        unknown: those with a row that does not.
        absent: those without a row.
        availability: up / (up + down), rounded down to the millionth; None when nothing is known.
        coverage: (up + down) / due, rounded down likewise.
        downtime_minutes: the time that the rows that are down stand for.
        incidents: how many there were.
        mttr_minutes: the mean time to recovery; None without any.
        longest_minutes: the longest incident; None without any.
        budget_left_minutes: what is left of the error budget; None when nothing is known.
    """

    due: int
    up: int
    down: int
    unknown: int
    absent: int
    availability: float | None
    coverage: float | None
    downtime_minutes: float
    incidents: int
    mttr_minutes: float | None
    longest_minutes: float | None
    budget_left_minutes: float | None


def figures(sums: Sums, lengths: Lengths, objective: Fraction) -> Figures:
    """The figures of what was counted.

    Args:
        objective: the share of the known time in which a website should be up.
    """
    counts = sums.counts
    known = counts.up + counts.down
    recovered = lengths.recovered
    return Figures(
        due=counts.due,
        up=counts.up,
        down=counts.down,
        unknown=counts.unknown,
        absent=counts.due - known - counts.unknown,
        availability=share(counts.up, known),
        coverage=share(known, counts.due),
        downtime_minutes=_minutes(sums.down_s * 1000),
        incidents=len(lengths.all),
        mttr_minutes=_minutes(Fraction(sum(recovered), len(recovered))) if recovered else None,
        longest_minutes=_minutes(Fraction(max(lengths.all))) if lengths.all else None,
        budget_left_minutes=_minutes(budget_left_s(sums, objective) * 1000, down=True) if known else None,
    )


def budget_left_s(sums: Sums, objective: Fraction) -> Fraction:
    """Seconds that may still be down; below 0 when more were than may be."""
    return (1 - objective) * sums.known_s - sums.down_s


def joined_lengths(some: Iterable[Lengths]) -> Lengths:
    """The lengths of the incidents of many targets."""
    known = list(some)
    return Lengths(
        tuple(one for each in known for one in each.all), tuple(one for each in known for one in each.recovered)
    )


def _minutes(ms: Fraction, down: bool = False) -> float:
    """To the hundredth, half to even; down for what is left, so that nothing is left when too little is."""
    hundredths = ms * _HUNDREDTHS / _MINUTE_MS
    return (math.floor(hundredths) if down else round(hundredths)) / _HUNDREDTHS
