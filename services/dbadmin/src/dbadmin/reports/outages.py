"""Incidents as a report counts them: those of several locations that overlap are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@attrs.frozen(order=True)
class Outage:
    """An incident within the time of a report; milliseconds.

    Attributes:
        recovered: whether the website was up again within that time; else it goes on, or its target was deactivated.
    """

    begin: int
    end: int
    recovered: bool


@attrs.frozen
class Lengths:
    """Lengths of incidents in milliseconds: of all, and of those that recovered."""

    all: tuple[int, ...] = ()
    recovered: tuple[int, ...] = ()


def joined(outages: Iterable[Outage]) -> list[Outage]:
    """Those that overlap or touch as one, in order; it has recovered when the part that ends last has."""
    found: list[Outage] = []
    for one in sorted(outages):
        if not found or one.begin > found[-1].end:
            found.append(one)
            continue
        before = found.pop()
        last = max(before, one, key=lambda part: (part.end, not part.recovered))
        found.append(Outage(before.begin, last.end, last.recovered))
    return found


def lengths(outages: Iterable[Outage], windows: Sequence[tuple[int, int]] = ()) -> Lengths:
    """How long each lasted outside of windows, which do not overlap; one that lies within them is left out."""
    everything, recovered = [], []
    for one in outages:
        within = sum(max(0, min(one.end, end) - max(one.begin, begin)) for begin, end in windows)
        if (length := one.end - one.begin - within) > 0:
            everything.append(length)
            if one.recovered:
                recovered.append(length)
    return Lengths(tuple(everything), tuple(recovered))
