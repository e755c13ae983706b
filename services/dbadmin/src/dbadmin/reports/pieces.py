"""The time in which a target was due, cut into pieces that are alike throughout.

Days and hours that lie within one piece are taken from the roll-ups. Where an hour is cut, its parts are told apart.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from dbadmin.reports.moments import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence


@attrs.frozen
class Span:
    """A time in which a target was due from a location with one interval; milliseconds, the end is not part of it."""

    location: str
    begin: int
    end: int
    interval_s: int


@attrs.frozen
class Kind:
    """What is alike in a piece.

    Attributes:
        seats: the number of locations that the target is due from at that time.
        maintenance: whether it is in a maintenance window.
    """

    interval_s: int
    seats: int
    maintenance: bool


@attrs.frozen
class Piece:
    """A part of the time; `kind` is None where nothing is due."""

    begin: int
    end: int
    kind: Kind | None


@attrs.frozen
class Cuts:
    """A location's pieces, by how they are counted.

    Attributes:
        pieces: in which something is due, in order.
        days, hours: those that lie within a piece, by their beginning.
        parts: the other hours in which something is due, by their beginning: all that they consist of.
    """

    pieces: tuple[Piece, ...]
    days: dict[int, Kind]
    hours: dict[int, Kind]
    parts: dict[int, tuple[Piece, ...]]


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order; those that overlap or touch become one."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif begin < end:
            found.append((begin, end))
    return found


def cut(spans: Sequence[Span], windows: Sequence[tuple[int, int]], marked_days: Collection[int]) -> Mapping[str, Cuts]:
    """The pieces of a target by location.

    Args:
        windows: when maintenance windows hold for it, merged.
        marked_days: days whose roll-up is out of date: their hours are counted one by one.
    """
    bounds = sorted(
        {edge for one in spans for edge in (one.begin, one.end)} | {edge for one in windows for edge in one}
    )
    pieces: dict[str, list[Piece]] = {}
    for begin, end in pairwise(bounds):
        due = [one for one in spans if one.begin <= begin and one.end >= end]
        maintenance = any(one[0] <= begin and one[1] >= end for one in windows)
        for one in due:
            some = pieces.setdefault(one.location, [])
            kind = Kind(one.interval_s, len(due), maintenance)
            if some and some[-1].end == begin and some[-1].kind == kind:
                begin_before = some.pop().begin
                some.append(Piece(begin_before, end, kind))
            else:
                some.append(Piece(begin, end, kind))
    return {location: _counted(some, marked_days) for location, some in pieces.items()}


def _counted(pieces: Sequence[Piece], marked_days: Collection[int]) -> Cuts:
    cuts = Cuts(tuple(pieces), {}, {}, {})
    for day, some in _grid(pieces, DAY_MS).items():
        if len(some) == 1 and some[0].end - some[0].begin == DAY_MS and some[0].kind and day not in marked_days:
            cuts.days[day] = some[0].kind
            continue
        for hour, parts in _grid(some, HOUR_MS).items():
            if len(parts) == 1 and parts[0].kind and parts[0].end - parts[0].begin == HOUR_MS:
                cuts.hours[hour] = parts[0].kind
            else:
                cuts.parts[hour] = _filled(parts, hour)
    return cuts


def _grid(pieces: Iterable[Piece], step: int) -> dict[int, list[Piece]]:
    """The pieces cut at every multiple of a step, by the multiple before them."""
    found: dict[int, list[Piece]] = {}
    for piece in pieces:
        for start in range(piece.begin - piece.begin % step, piece.end, step):
            part = Piece(max(start, piece.begin), min(start + step, piece.end), piece.kind)
            found.setdefault(start, []).append(part)
    return found


def _filled(parts: Sequence[Piece], hour: int) -> tuple[Piece, ...]:
    """The whole hour: between the parts in which something is due are those in which nothing is."""
    whole: list[Piece] = []
    at = hour
    for part in parts:
        if part.begin > at:
            whole.append(Piece(at, part.begin, None))
        whole.append(part)
        at = part.end
    if at < hour + HOUR_MS:
        whole.append(Piece(at, hour + HOUR_MS, None))
    return tuple(whole)
