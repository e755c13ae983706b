"""Locations vote slot by slot: what opens, closes and holds back the alert of a target that is down or degraded.

Slots are decided in order, each as soon as no result that is still awaited can change what it says, and otherwise when
its results are late. A slot that is decided closes those before it: what comes for them later changes history alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_alerting import basis, seats
from monitoring_alerting.evidence import EvidenceStore
from monitoring_alerting.quorum_standing import QuorumStanding
from monitoring_alerting.seats import NEVER, WIDTH, Mark, Noted
from monitoring_alerting.standing import LOUD, QUIET
from monitoring_alerting.targets import FOREVER, LATE_INTERVALS
from monitoring_alerting.terms import Phase, Terms
from monitoring_alerting.transition import Note, Parent, State

if TYPE_CHECKING:
    from array import array

    from monitoring_alerting.desk import Desk
    from monitoring_alerting.policies import QuorumPolicy
    from monitoring_alerting.seats import Votes
    from monitoring_alerting.targets import Watched
    from monitoring_core.result import CheckResult

# More locations than this at a time have no vote on a target.
MAX_LOCATIONS = 64
_UNSET = 1 << 62


class QuorumTrack:
    """A target under a policy on which locations vote.

    Attributes:
        closed: the newest slot that is decided.
        blind_from: the moment from which on there have not been enough votes.
    """

    __slots__ = ("blind_from", "cells", "closed", "evidence", "names", "standing", "terms", "wakes_at")

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.names = terms.policy.locations.of
        self.cells: array[int] = seats.seats(len(self.names), NEVER)
        self.closed = NEVER
        self.blind_from = _UNSET
        self.standing: QuorumStanding | None = None
        self.evidence: EvidenceStore | None = None
        self.wakes_at: int | None = None

    @property
    def policy(self) -> QuorumPolicy:
        """The policy."""
        return self.terms.policy

    def begin(self, target: Watched, now: int) -> None:
        """There is a clock now: a target is blind from here on, or from its first results on."""
        self.blind_from = min(max(self.blind_from, now - 3 * target.interval), now)

    def take(self, target: Watched, slot: int, result: CheckResult, desk: Desk) -> None:
        """Take a result, decide what it decides, and note what it would have changed if it is late."""
        self.pass_time(target, desk)
        seat = self._seat(target, slot, result.location)
        if seat is None:
            return
        due = target.due(desk.now)
        before = seats.count(self.cells, slot, due, self.terms.rule) if slot <= due else None
        mark = self.terms.mark(result)
        noted = self._note(seat, slot, mark, target.last(desk.now))
        self._remember(slot, result, mark, noted)
        if before is not None:
            self._note_change(target, slot, result, noted, before, desk)
        elif noted <= Noted.FILLED:
            self._settle(target, desk)
        if (self.standing or self.evidence) and self._wakes_too_late(target):
            self.wakes_at = None

    def pass_time(self, target: Watched, desk: Desk) -> None:
        """Decide the slots whose results are late, and tell what has lasted long enough."""
        if desk.now is None:
            return
        if self.closed < target.due(desk.now):
            self._settle(target, desk)
        blind_at = self._blind_at(target)
        standing = self.standing
        if desk.now >= blind_at and not (standing and standing.blind):
            standing = self._stand()
            standing.blind = True
            self._tell(target, blind_at, max(self.newest, target.due(desk.now)), desk)
        if standing:
            calm_at = standing.calm_at(self.terms)
            if calm_at is not None and desk.now >= calm_at:
                standing.flapping = False
                self._tell(target, calm_at, self.closed, desk)
            elif standing.waits:
                self._tell(target, target.moment(self.closed), self.closed, desk)

    def quiet_until(self, target: Watched) -> int:
        """Up to when there is nothing to tell, and nothing that is remembered is let go of."""
        votes = self.terms.blind_ms is None or self.blind_from >= target.moment(self.newest)
        if self.newest == NEVER or not votes:
            return 0
        if self.standing:
            return self.standing.rests_until(self.terms)
        return 0 if self.evidence else FOREVER

    def pass_over(self, target: Watched, until: int) -> None:
        """Take it that there were votes for good at every slot before a moment."""
        self.blind_from = max(self.blind_from, until)

    def next_wake(self, target: Watched) -> int | None:
        """When a slot is late, or it is to be told that votes are missing or that flapping has ended."""
        standing = self.standing
        blind_at = _UNSET if standing and standing.blind else self._blind_at(target)
        calm_at = standing.calm_at(self.terms) if standing else None
        wake = min(self._late_at(target), blind_at, _UNSET if calm_at is None else calm_at)
        return None if wake >= _UNSET else wake

    def change_policy(self, terms: Terms) -> None:
        """Go on under other terms from the next slot on; an open alert stays open until it recovers by these."""
        known = terms.policy.locations.of
        if known and known != self.names:
            cells = seats.seats(len(known), self.newest)
            for at, name in enumerate(known):
                if name in self.names:
                    old = 3 * self.names.index(name)
                    cells[3 * at : 3 * at + 3] = self.cells[old : old + 3]
            self.names, self.cells = known, cells
        self.terms = terms

    def change_interval(self, before: Watched, after: Watched) -> None:
        """Go on with other slots: what the old ones said is forgotten, an open alert is not."""
        now = after.slot(before.moment(max(self.newest, 0)))
        self.cells = seats.seats(len(self.names), now if self.newest != NEVER else NEVER)
        self.closed = now if self.newest != NEVER else NEVER
        self.evidence = None

    def withdraw(self, target: Watched, cause: str, desk: Desk) -> None:
        """End its alert, because there is nothing to watch any more."""
        standing = self.standing
        if standing and standing.told not in QUIET:
            state = State.RESOLVED if standing.loud else State.OK
            at = desk.now if desk.now is not None else target.moment(self.closed)
            standing.tell(state, target, self.policy, desk, at=at, since=at, cause=cause)

    @property
    def newest(self) -> int:
        """The newest slot of which there is a result."""
        return max(self.cells[0::3], default=NEVER)

    @property
    def down_since(self) -> int | None:
        """When the votes opened an alert that is still open, in milliseconds."""
        standing = self.standing
        return standing.fired_at if standing and standing.phase >= Phase.FIRING else None

    def doubtful(self) -> bool:
        """Whether some location's newest result was bad."""
        return any(bad & 1 for bad in self.cells[1::3])

    def _blind_at(self, target: Watched) -> int:
        """When missing votes are told: not before the results of a slot are late."""
        blind_ms = self.terms.blind_ms
        return _UNSET if blind_ms is None else self.blind_from + max(blind_ms, LATE_INTERVALS * target.interval)

    def _late_at(self, target: Watched) -> int:
        """When the first slot is late that waits for results, if deciding it may change anything."""
        if not (self.standing or self.evidence) or self.newest <= self.closed:
            return _UNSET
        return target.moment(max(self.closed + 1, self.newest - WIDTH + 1) + LATE_INTERVALS)

    def _wakes_too_late(self, target: Watched) -> bool:
        """Whether a slot is late before the next wake. No slot is before the one after those that are decided."""
        wake = self.wakes_at
        return (
            wake is not None and target.moment(self.closed + 1 + LATE_INTERVALS) < wake and self._late_at(target) < wake
        )

    def _seat(self, target: Watched, slot: int, location: str) -> int | None:
        """The seat of a location; None for one that has no vote. The first result of a target opens its seats."""
        if self.blind_from == _UNSET:
            self.blind_from = target.moment(slot)
        known = self.terms.policy.locations.of
        if known and self.cells[0] == NEVER and self.newest == NEVER:
            self.cells = seats.seats(len(known), slot - 1)
        if location in self.names:
            return self.names.index(location)
        if known:
            return None
        gone = None
        if len(self.names) >= MAX_LOCATIONS and (gone := seats.gone(self.cells, slot)) is None:
            return None
        seat = len(self.names) if gone is None else gone
        self.names = seats.shared_names((*self.names[:seat], location, *self.names[seat + 1 :]))
        self.cells[3 * seat : 3 * seat + 3] = seats.seats(1, slot - 1)
        return seat

    def _note(self, seat: int, slot: int, mark: Mark, last: int) -> Noted:
        """Note a result. What a location said when its clock was ahead makes room for what it says now."""
        if self.cells[3 * seat] > max(slot, last):
            self.cells[3 * seat : 3 * seat + 3] = seats.seats(1, slot - 1)
        return seats.note(self.cells, seat, slot, mark)

    def _remember(self, slot: int, result: CheckResult, mark: Mark, noted: Noted) -> None:
        """Keep what an alert may be decided on, and let go of it when all is well again."""
        if mark is not Mark.GOOD and noted <= Noted.FILLED:
            self.evidence = self.evidence or EvidenceStore()
            self.evidence.keep(slot, result)
        elif self.evidence and mark is Mark.GOOD and not self.standing and self.evidence.forget(result.location):
            self.evidence = None

    def _note_change(
        self, target: Watched, slot: int, result: CheckResult, noted: Noted, before: Votes, desk: Desk
    ) -> None:
        """Note what a late result would have changed."""
        if noted is Noted.REPEATED:
            return
        change: str | None = "is older than all that is remembered"
        if noted is not Noted.TOO_OLD:
            change = self.terms.difference(before, seats.count(self.cells, slot, slot, self.terms.rule))
        if change is None:
            return
        note = Note(
            target_id=target.id,
            policy=self.policy.name,
            location=result.location,
            scheduled_at=result.scheduled_at,
            late_s=((desk.now or 0) - target.moment(slot)) / 1000,
            change=change,
        )
        desk.note(note)

    def _settle(self, target: Watched, desk: Desk) -> None:
        """Decide every slot that can be decided."""
        due = target.due(desk.now)
        top = min(self.newest, target.last(desk.now))
        for slot in range(max(self.closed + 1, top - WIDTH + 1), top + 1):
            votes = seats.count(self.cells, slot, due, self.terms.rule)
            sees_again = votes.cast >= self.terms.needed and self._sees(target, slot)
            before = self.standing.phase if self.standing else Phase.OK
            phase = self.terms.phase(votes, before, slot <= due)
            if phase is not None:
                self.closed = slot
                if phase is not before:
                    self._stand().changed(phase, target.moment(slot), self.terms)
            if self.standing and (sees_again or phase is not None):
                self._tell(target, target.moment(slot), slot, desk)
        self.closed = seats.shared_slot(max(self.closed, due))

    def _sees(self, target: Watched, slot: int) -> bool:
        """There are enough votes at a slot; whether that was told to be missing."""
        self.blind_from = max(self.blind_from, target.moment(slot + 1))
        if not (self.standing and self.standing.blind):
            return False
        self.standing.blind = False
        return True

    def _stand(self) -> QuorumStanding:
        self.standing = self.standing or QuorumStanding()
        return self.standing

    def _tell(self, target: Watched, at: int, slot: int, desk: Desk) -> None:
        """Tell the state if it is not what was told last."""
        standing = self._stand()
        state = standing.wanted
        since = standing.since if standing.alert_id else self._since(target, slot, at)
        parent: Parent | None = None
        standing.waits = False
        if state in LOUD and not (standing.loud and standing.told in LOUD):
            parent, maybe = desk.parent(target, self.policy, since)
            if parent or (maybe and state is State.FIRING):
                state = State.SUSPECTED
                standing.waits = True
        if state is not standing.told or parent != standing.silenced_by:
            chosen = basis.chosen(self, state, slot)
            standing.tell(
                state,
                target,
                self.policy,
                desk,
                at=at,
                since=since,
                locations=[self.names[seat] for seat in chosen],
                results=[one for seat in chosen for one in basis.results(target, self, seat, slot)],
                silenced_by=parent,
            )
        window = target.moment(slot) - self.terms.within_ms
        if standing.changes and not standing.flapping and standing.changes[-1] < window:
            standing.changes = []
        if standing.idle:
            self.standing = None

    def _since(self, target: Watched, slot: int, at: int) -> int:
        """When what is told began: the slot that it was decided on, or the first moment without enough votes."""
        standing = self._stand()
        blind = standing.blind and standing.phase is Phase.OK
        return min(self.blind_from, at) if blind else target.moment(slot)
