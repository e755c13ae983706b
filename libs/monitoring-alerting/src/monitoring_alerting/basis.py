"""What a state rests on: the locations, and their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from monitoring_alerting import seats
from monitoring_alerting.seats import WIDTH
from monitoring_alerting.transition import Evidence, State
from monitoring_core.clock import from_ms

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    from monitoring_alerting.evidence import EvidenceStore
    from monitoring_alerting.targets import Watched
    from monitoring_alerting.terms import Terms


class Seated(Protocol):
    """Locations with their seats, and what is kept of their results."""

    terms: Terms
    names: tuple[str, ...]
    cells: array[int]
    evidence: EvidenceStore | None


def chosen(track: Seated, state: State, slot: int) -> list[int]:
    """The seats that a state rests on."""
    votes = [
        seats.count(track.cells[3 * seat : 3 * seat + 3], slot, slot + WIDTH, track.terms.rule)
        for seat in range(len(track.names))
    ]
    match state:
        case State.UNDETERMINED:
            return [seat for seat, vote in enumerate(votes) if not vote.cast]
        case State.FIRING | State.SUSPECTED:
            failing = [seat for seat, vote in enumerate(votes) if vote.failing]
            return failing if len(failing) >= track.terms.needed else [s for s, vote in enumerate(votes) if vote.bad]
        case State.FLAPPING:
            return [seat for seat, vote in enumerate(votes) if vote.cast]
    return [seat for seat, vote in enumerate(votes) if vote.good]


def results(target: Watched, track: Seated, seat: int, slot: int) -> Iterator[Evidence]:
    """The results of a location that a decision rests on, the newest first."""
    location = track.names[seat]
    rule = track.terms.rule
    said = seats.said(track.cells, seat, slot, max(rule.window.bit_length(), rule.good))
    if not said:
        yield from track.evidence.last(location) if track.evidence else ()
    for number, bad in said:
        kept = track.evidence.find(location, number) if track.evidence else None
        status = track.terms.status(bad)
        yield kept or Evidence(scheduled_at=from_ms(target.moment(number)), location=location, status=status)
