"""A certificate that ends soon: told once at each step, and once more when another one has taken its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_alerting.evidence import of
from monitoring_alerting.seats import NEVER
from monitoring_alerting.standing import Standing
from monitoring_alerting.targets import FOREVER, LATE_INTERVALS
from monitoring_alerting.transition import Evidence, State
from monitoring_core.clock import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_alerting.desk import Desk
    from monitoring_alerting.policies import CertificatePolicy
    from monitoring_alerting.targets import Watched
    from monitoring_core.result import CheckResult


# What a location saw counts for so long beside what others have seen since then.
_GONE_AFTER_MS = 86_400_000


class CertificateTrack:
    """The certificates of a target, as each location saw them last.

    Attributes:
        seen: location -> the newest slot with a certificate, and when that ends.
        told: the end and the step that were told last; they are not told again.
    """

    __slots__ = ("policy", "seen", "standing", "told", "wakes_at")

    def __init__(self, policy: CertificatePolicy) -> None:
        self.policy = policy
        self.seen: dict[str, tuple[int, int]] = {}
        self.told: tuple[int, int] | None = None
        self.standing: Standing | None = None
        self.wakes_at: int | None = None

    def begin(self, target: Watched, now: int) -> None:
        """Nothing begins with the clock."""

    def take(self, target: Watched, slot: int, result: CheckResult, desk: Desk) -> None:
        """Take the certificate of a result, if it has one; what ends first of the chain counts."""
        known = self.policy.locations.of
        ends = [end for end in (result.certificate_expires_at, result.chain_expires_at) if end]
        if not ends or (known and result.location not in known):
            return
        newest = self.seen.get(result.location)
        if newest is None or slot > newest[0]:
            self.seen[result.location] = slot, to_ms(min(ends))
            oldest = slot - LATE_INTERVALS - _GONE_AFTER_MS // target.interval
            if any(seen < oldest for seen, _ in self.seen.values()):
                self.seen = {location: one for location, one in self.seen.items() if one[0] >= oldest}
            self._judge(target, target.moment(slot), desk, result)

    def pass_time(self, target: Watched, desk: Desk) -> None:
        """Tell the step that the clock has come to."""
        if desk.now is not None:
            self._judge(target, desk.now, desk, None)

    def quiet_until(self, target: Watched) -> int:
        """Always, if the clock alone tells what is next as long as the certificate is the same."""
        wake = self.next_wake(target)
        return FOREVER if wake is None or (self.wakes_at is not None and self.wakes_at <= wake) else 0

    def pass_over(self, target: Watched, until: int) -> None:
        """Every location that is there has seen the same in each slot."""
        newest = max((slot for slot, _ in self.seen.values()), default=NEVER)
        last = -((target.phase - until) // target.interval) - 1
        for location, (slot, end) in self.seen.items():
            if newest - 1 <= slot < last:
                self.seen[location] = last, end

    def next_wake(self, target: Watched) -> int | None:
        """When the next step is reached."""
        end = self._end()
        steps = (
            []
            if end is None
            else [end - step for step in self._steps() if self.told is None or (end, step) < self.told]
        )
        return min(steps, default=None)

    def change_policy(self, policy: CertificatePolicy) -> None:
        """Go on with other steps, and with the locations that have a vote now."""
        self.policy = policy
        if known := policy.locations.of:
            self.seen = {location: one for location, one in self.seen.items() if location in known}

    def change_interval(self, before: Watched, after: Watched) -> None:
        """Slots are counted anew; what was seen stays until something newer comes."""
        self.seen = {location: (after.slot(before.moment(slot)), end) for location, (slot, end) in self.seen.items()}

    def withdraw(self, target: Watched, cause: str, desk: Desk) -> None:
        """End its alert, because there is nothing to watch any more."""
        if self.standing and desk.now is not None:
            self.standing.tell(State.RESOLVED, target, self.policy, desk, at=desk.now, since=desk.now, cause=cause)
            self.standing = None

    def _steps(self) -> list[int]:
        return [int(1000 * step.total_seconds()) for step in self.policy.steps]

    def _end(self) -> int | None:
        """The end that as many locations as are needed have seen, or an earlier one."""
        needed = self.policy.locations.at_least
        ends = sorted(end for _, end in self.seen.values())
        return ends[needed - 1] if len(ends) >= needed else None

    def _is_news(self, end: int, reached: Sequence[int]) -> bool:
        """Whether what a certificate has reached is to be told; nearly every result says what is known."""
        if not reached:
            return self.standing is not None
        return self.told is None or self.told[0] != end or reached[-1] < self.told[1]

    def _judge(self, target: Watched, moment: int, desk: Desk, result: CheckResult | None) -> None:
        end = self._end()
        if end is None:
            return
        reached = [step for step in self._steps() if moment >= end - step]
        if not self._is_news(end, reached):
            return
        locations = sorted(location for location, (_, seen) in self.seen.items() if seen <= end)
        results: list[Evidence] = []
        if result:
            results = [of(result)]
        if not reached:
            assert self.standing
            self.standing.tell(
                State.RESOLVED,
                target,
                self.policy,
                desk,
                at=moment,
                since=moment,
                locations=locations,
                results=results,
            )
            self.standing = None
        else:
            self.told = end, reached[-1]
            if self.standing is None:
                self.standing = Standing()
            self.standing.tell(
                State.FIRING,
                target,
                self.policy,
                desk,
                at=moment,
                since=end - self._steps()[0],
                locations=locations,
                results=results,
                step_s=reached[-1] // 1000,
                end=end,
            )
