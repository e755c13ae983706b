"""Decides about alerts: results and a clock in, transitions out."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import attrs

from monitoring_alerting.certificate import CertificateTrack
from monitoring_alerting.clock import ResultClock
from monitoring_alerting.missed import MissedTrack
from monitoring_alerting.parents import Parents
from monitoring_alerting.policies import CertificatePolicy, Kind, MissedPolicy, Policies, Policy, QuorumPolicy
from monitoring_alerting.quorum import QuorumTrack
from monitoring_alerting.targets import FOREVER, LATE_INTERVALS
from monitoring_alerting.terms import Terms
from monitoring_core.clock import to_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitoring_alerting.targets import Watched
    from monitoring_alerting.transition import Note, Parent, Transition
    from monitoring_core.result import CheckResult

    Tracks = Sequence["AnyTrack"]
    # A target with its tracks: one tuple, because there may be a million of them.
    Tracked = tuple[Watched, *tuple["AnyTrack", ...]]

AnyTrack = QuorumTrack | CertificateTrack | MissedTrack
# The interval that counts for the clock while there is no target.
_USUAL_INTERVAL_MS = 60_000
# A wake that was brought forward stays in line until it is due; there may be as many of these as of the others, and so
# many more.
_SPARE_WAKES = 1_000


@attrs.frozen
class Memory:
    """What a decider has come to.

    Attributes:
        waits: by parent, the targets that wait for it.
        targets: each target with its tracks.
    """

    clock: ResultClock
    waits: dict[int, set[int]]
    targets: Iterable[Tracked]


class Decider:
    """The alerts of targets under policies. It reads nothing and writes nothing; what it says is returned.

    Attributes:
        now: where the clock stands, in milliseconds; None before there is a time. What is due between two of its moves
            is done as if it stood at that moment.
        unknown: how many results were of no active target.
        ahead: how many results had a slot so far ahead of the clock that they do not count.
    """

    def __init__(self, policies: Policies, targets: Iterable[Watched]) -> None:
        self.now: int | None = None
        self.unknown = self.ahead = 0
        self._clock = ResultClock()
        self._interval = _USUAL_INTERVAL_MS
        self._policies = policies
        self._terms: dict[str, Terms] = {}
        self._targets: dict[int, Tracked] = {}
        self._parents = Parents()
        self._wakes: list[tuple[int, int, Kind]] = []
        self._most_wakes = _SPARE_WAKES
        self._said: list[Transition] = []
        self._notes: list[Note] = []
        self.change(policies, targets)

    def take(self, result: CheckResult) -> list[Transition]:
        """What a result changes."""
        known = self._targets.get(result.target_id)
        due_at = to_ms(result.scheduled_at)
        finished_at = due_at if result.finished_at is None else to_ms(result.finished_at)
        if self._clock.hear(result.location, finished_at, self._interval):
            self._wake()
        if known is None:
            self.unknown += 1
            return self._drain()
        target, *tracks = known
        slot = target.slot(due_at)
        if slot < 0 or slot > target.last(self.now):
            self.ahead += 1
            return self._drain()
        target.shift = due_at - slot * target.interval - target.phase
        for track in tracks:
            track.take(target, slot, result, self)
            if track.wakes_at is None:
                self._arm(target, track)
        if self._parents.is_parent(target.id):
            self._look_again(target)
        return self._drain()

    def advance(self, moment: int) -> list[Transition]:
        """What is due when the clock goes on to a moment, in milliseconds; nothing if it is there already."""
        if self._clock.advance(moment):
            self._wake()
        return self._drain()

    def finish(self) -> list[Transition]:
        """What the clock has made due for targets that have no further results."""
        for target, *tracks in self._targets.values():
            for track in tracks:
                if isinstance(track, QuorumTrack) and self.now is not None and track.newest > track.closed:
                    self.now = min(target.moment(track.newest + LATE_INTERVALS), self.now)
                    track.pass_time(target, self)
                    self.now = self._clock.now
                track.pass_time(target, self)
        return self._drain()

    def quiet_until(self, target_id: int) -> int:
        """Up to which moment (ms) further even results of a target change nothing that is ever told; see course.py."""
        target, *tracks = self._targets[target_id]
        return 0 if target.shift else min((track.quiet_until(target) for track in tracks), default=FOREVER)

    def pass_over(self, target_id: int, until: int) -> None:
        """Take it that the results of a target go on evenly up to a moment up to which it is quiet."""
        target, *tracks = self._targets[target_id]
        for track in tracks:
            track.pass_over(target, until)

    @property
    def memory(self) -> Memory:
        """All that it has come to, to be kept before the next result: a view, not a copy."""
        return Memory(self._clock, self._parents.waits, self._targets.values())

    @classmethod
    def recalled(cls, policies: Policies, memory: Memory) -> Decider:
        """A decider that goes on from what another one under the same policies had come to."""
        decider = cls(policies, ())
        decider._clock, decider.now = memory.clock, memory.clock.now
        decider._targets = {tracked[0].id: tracked for tracked in memory.targets}
        decider._parents = Parents.of(policies, [target for target, *_ in decider._targets.values()], memory.waits)
        decider._interval = decider._shortest_interval()
        decider._line_up()
        return decider

    def notes(self) -> list[Note]:
        """What has been noted about late results since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def change(self, policies: Policies, targets: Iterable[Watched]) -> list[Transition]:
        """Go on with other policies and targets.

        An alert stays open while its target has a policy of the same name and kind; its next slot is judged by what the
        policy says now. It ends when the target is gone or has no such policy any more, and says why.
        """
        self._policies = policies
        self._terms = {policy.name: Terms.of(policy) for policy in policies.all if isinstance(policy, QuorumPolicy)}
        before, self._targets = self._targets, {}
        for target in targets:
            old, *tracks = before.pop(target.id, (target,))
            if old.interval == target.interval:
                target.shift = old.shift
            else:
                for track in tracks:
                    track.change_interval(old, target)
            self._targets[target.id] = (target, *self._tracks(target, tracks))
        for target, *tracks in before.values():
            for track in tracks:
                track.withdraw(target, "the target was deleted or deactivated", self)
        self._parents = Parents.of(policies, [target for target, *_ in self._targets.values()])
        self._interval = self._shortest_interval()
        for target, *tracks in self._targets.values():
            for track in tracks:
                # What is armed already stays so, unless it is to wake earlier now.
                wake = track.next_wake(target)
                if track.wakes_at is None or (wake is not None and wake < track.wakes_at):
                    track.wakes_at = wake
        self._line_up()
        return self._drain()

    def tell(self, transition: Transition) -> None:
        """Take a transition from a track."""
        self._said.append(transition)

    def note(self, note: Note) -> None:
        """Take a note about a late result from a track."""
        self._notes.append(note)

    def parent(self, target: Watched, policy: Policy, since: int) -> tuple[Parent | None, bool]:
        """The parent of a target that is down, if one is; else whether one may be and must be waited for."""
        return self._parents.above(target, policy, since, self.now, self._down)

    def _shortest_interval(self) -> int:
        return min((target.interval for target, *_ in self._targets.values()), default=_USUAL_INTERVAL_MS)

    def _down(self, target_id: int) -> tuple[Watched, QuorumTrack] | None:
        known = self._targets.get(target_id)
        track = _of_kind(known[1:], Kind.DOWN) if known else None
        return (known[0], track) if known and isinstance(track, QuorumTrack) else None

    def _tracks(self, target: Watched, before: Tracks) -> list[AnyTrack]:
        """The tracks of a target, those that go on among them."""
        tracks: list[AnyTrack] = []
        left = {track.policy.kind: track for track in before}
        for policy in self._policies.chosen(target.labels):
            old = left.get(policy.kind)
            if old and old.policy.name == policy.name:
                del left[policy.kind]
                old.change_policy(self._terms.get(policy.name, policy))  # type: ignore[arg-type] # of its own kind
                tracks.append(old)
            else:
                tracks.append(self._track(policy))
                if self.now is not None:
                    tracks[-1].begin(target, self.now)
        for old in left.values():
            old.withdraw(target, "the policy no longer holds for the target", self)
        return tracks

    def _track(self, policy: Policy) -> AnyTrack:
        if isinstance(policy, CertificatePolicy):
            return CertificateTrack(policy)
        if isinstance(policy, MissedPolicy):
            return MissedTrack(policy)
        return QuorumTrack(self._terms[policy.name])

    def _look_again(self, parent: Watched) -> None:
        """Tell what waits for a parent, as soon as that is decided."""
        for target_id in self._parents.waiting(parent.id):
            target, *tracks = self._targets[target_id]
            for track in tracks:
                track.pass_time(target, self)

    def _arm(self, target: Watched, track: AnyTrack) -> None:
        track.wakes_at = track.next_wake(target)
        if track.wakes_at is not None:
            heapq.heappush(self._wakes, (track.wakes_at, target.id, track.policy.kind))
            if len(self._wakes) > self._most_wakes:
                self._line_up()

    def _line_up(self) -> None:
        """Put the tracks in line that are to wake, and let go of all others that stood there."""
        self._wakes = [
            (track.wakes_at, target.id, track.policy.kind)
            for target, *tracks in self._targets.values()
            for track in tracks
            if track.wakes_at is not None
        ]
        heapq.heapify(self._wakes)
        self._most_wakes = 2 * len(self._wakes) + _SPARE_WAKES

    def _begin(self, now: int) -> None:
        for target, *tracks in self._targets.values():
            for track in tracks:
                track.begin(target, now)
                if track.wakes_at is None:
                    self._arm(target, track)

    def _wake(self) -> None:
        """Do what has become due now that the clock has moved."""
        before, now = self.now, self._clock.now
        assert now is not None
        self.now = now
        if before is None:
            self._begin(now)
        while self._wakes and self._wakes[0][0] <= now:
            at, target_id, kind = heapq.heappop(self._wakes)
            target, *tracks = self._targets.get(target_id, (None,))
            track = _of_kind(tracks, kind)
            if target and track and track.wakes_at == at:
                self.now = at if before is None else max(at, before)
                track.pass_time(target, self)
                self._arm(target, track)
        self.now = now

    def _drain(self) -> list[Transition]:
        said, self._said = self._said, []
        return said


def _of_kind(tracks: Tracks, kind: Kind) -> AnyTrack | None:
    return next((track for track in tracks if track.policy.kind is kind), None)
