"""The terms of a policy on which locations vote, worked out once."""

from __future__ import annotations

import datetime as dt
import enum
from typing import TYPE_CHECKING

import attrs

from monitoring_alerting.policies import DegradedPolicy, DownPolicy, Kind, QuorumPolicy
from monitoring_alerting.seats import Mark, Rule, Votes
from monitoring_core.result import Status

if TYPE_CHECKING:
    from monitoring_core.result import CheckResult

# A reason of status unknown; older producers do not have it.
INVALID_TARGET = "invalid_target"
_MILLISECOND = dt.timedelta(milliseconds=1)


class Phase(enum.IntEnum):
    """What the votes say, before anything holds it back."""

    OK = 0
    SUSPECTED = 1
    FIRING = 2
    RECOVERING = 3


@attrs.frozen
class Terms:
    """When votes open and close an alert.

    Attributes:
        needed: this many locations open it.
        needed_back: this many locations close it.
        blind_ms: it is told after this time that too few locations have a vote; None for never.
        within_ms: the time in which more than `changes` openings and closings are flapping.
    """

    policy: QuorumPolicy
    rule: Rule
    needed: int
    needed_back: int
    blind_ms: int | None
    changes: int
    within_ms: int

    @classmethod
    def of(cls, policy: QuorumPolicy) -> Terms:
        """The terms of a policy."""
        failures, recovery = policy.failures, policy.recovery
        blind_after = policy.blind_after if isinstance(policy, DownPolicy) else None
        return cls(
            policy=policy,
            rule=Rule(failures.at_least, (1 << failures.window) - 1, recovery.slots),
            needed=policy.locations.at_least,
            needed_back=policy.recovery_locations,
            blind_ms=None if blind_after is None else blind_after // _MILLISECOND,
            changes=policy.flapping.changes,
            within_ms=policy.flapping.within // _MILLISECOND,
        )

    def mark(self, result: CheckResult) -> Mark:
        """What a result says about what the policy watches for."""
        status = result.status
        if self.policy.kind is Kind.DOWN:
            return Mark.GOOD if status is Status.UP else Mark.BAD if status is Status.DOWN else Mark.NOTHING
        if self.policy.kind is Kind.INVALID_TARGET:
            if result.reason == INVALID_TARGET:
                return Mark.BAD
            return Mark.NOTHING if status is Status.UNKNOWN else Mark.GOOD
        assert isinstance(self.policy, DegradedPolicy)
        if status is not Status.UP or result.response_time_s is None:
            return Mark.NOTHING
        slow = result.response_time_s > self.policy.response_time.total_seconds()
        return Mark.BAD if slow else Mark.GOOD

    def status(self, bad: bool) -> Status:
        """The status of a result that the policy takes for bad or good, as far as the policy can tell."""
        if not bad:
            return Status.UP
        return {Kind.DOWN: Status.DOWN, Kind.DEGRADED: Status.UP}.get(self.policy.kind, Status.UNKNOWN)

    def difference(self, before: Votes, after: Votes) -> str | None:
        """What further votes would have made of a slot; None for nothing else."""
        if before.failing < self.needed <= after.failing:
            return "with it, enough locations would have failed"
        if before.cast < self.needed <= after.cast:
            return "with it, enough locations would have had a vote"
        return None

    def phase(self, votes: Votes, before: Phase, overdue: bool) -> Phase | None:
        """The phase at a slot after the one before it; None as long as results that are awaited may change it.

        With too few votes nothing changes. The slot is then kept open until it is overdue.
        """
        if before < Phase.FIRING:
            if votes.failing >= self.needed:
                return Phase.FIRING
        elif votes.bad >= self.needed:
            return Phase.FIRING
        if votes.cast < self.needed:
            return before if overdue else None
        if votes.bad + votes.awaited >= self.needed > votes.bad:
            return None
        if votes.failing + votes.awaited >= self.needed > votes.failing:
            return None
        if before < Phase.FIRING:
            return Phase.SUSPECTED if votes.bad >= self.needed else Phase.OK
        return self._phase_of_recovery(votes)

    def _phase_of_recovery(self, votes: Votes) -> Phase | None:
        back = self.needed_back
        if votes.recovered >= back and votes.failing < self.needed:
            return Phase.OK
        if votes.awaited and votes.recovered + votes.awaited >= back:
            return None
        return Phase.RECOVERING if votes.good >= back else Phase.FIRING
