"""Coverage: whether a location has had results that say something for enough of its slots in each hour (UTC)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_alerting.seats import NEVER, WIDTH
from monitoring_alerting.standing import Standing
from monitoring_alerting.targets import FOREVER, LATE_INTERVALS
from monitoring_alerting.transition import State
from monitoring_core.result import Status

if TYPE_CHECKING:
    from monitoring_alerting.desk import Desk
    from monitoring_alerting.policies import MissedPolicy
    from monitoring_alerting.targets import Watched
    from monitoring_core.result import CheckResult

HOUR_MS = 3_600_000
# A location without any result for so many hours, in which others had some, is taken for removed.
REMOVED_AFTER = 24


@attrs.define
class Counted:
    """What a location has covered: the first slot, the newest, the mask of the last ones, and counts by hour.

    Attributes:
        heard: the newest slot with any result, also one that is unknown.
    """

    first: int
    newest: int = NEVER
    said: int = 0
    hours: dict[int, int] = attrs.field(factory=dict)
    heard: int = NEVER

    @property
    def seen(self) -> int:
        """The newest slot at which the location was there."""
        return max(self.first, self.newest, self.heard)

    def take(self, slot: int, hour: int) -> None:
        """Count a slot once. What is older than the mask is not counted."""
        if slot > self.newest:
            gap = slot - self.newest
            self.said = (self.said << gap) & ((1 << WIDTH) - 1) | 1 if gap < WIDTH else 1
            self.newest = slot
        elif self.newest - slot >= WIDTH or self.said >> self.newest - slot & 1:
            return
        else:
            self.said |= 1 << self.newest - slot
        self.hours[hour] = self.hours.get(hour, 0) + 1

    def fill(self, target: Watched, last: int) -> None:
        """Count all slots up to a last one."""
        while self.newest < last:
            hour = target.moment(self.newest + 1) // HOUR_MS
            end = min(last, -((target.phase - (hour + 1) * HOUR_MS) // target.interval) - 1)
            self.hours[hour] = self.hours.get(hour, 0) + end - self.newest
            gap = min(end - self.newest, WIDTH)
            self.said = (self.said << gap | (1 << gap) - 1) & ((1 << WIDTH) - 1)
            self.newest = end


class MissedTrack:
    """The coverage of a target.

    Attributes:
        hour: the hour that is judged next, counted from the epoch; None before the first result.
    """

    __slots__ = ("counted", "hour", "policy", "standing", "wakes_at")

    def __init__(self, policy: MissedPolicy) -> None:
        self.policy = policy
        self.counted: dict[str, Counted] = {}
        self.hour: int | None = None
        self.standing: Standing | None = None
        self.wakes_at: int | None = None

    def begin(self, target: Watched, now: int) -> None:
        """Nothing begins with the clock: a target without any result is told as undetermined."""

    def take(self, target: Watched, slot: int, result: CheckResult, desk: Desk) -> None:
        """Count a result that says something; any result says that its location is there."""
        known = self.policy.locations.of
        if known and result.location not in known:
            return
        self.pass_time(target, desk)
        hour = target.moment(slot) // HOUR_MS
        counted = self.counted.get(result.location)
        if counted is None:
            counted = self.counted[result.location] = Counted(slot)
        counted.heard = max(counted.heard, slot)
        self.hour = hour if self.hour is None else self.hour
        if result.status is not Status.UNKNOWN and hour >= self.hour:
            counted.take(slot, hour)

    def pass_time(self, target: Watched, desk: Desk) -> None:
        """Judge the hours that are over, with their late results."""
        while self.hour is not None and desk.now is not None and desk.now >= self._judged_at(target, self.hour):
            self._judge(target, self.hour, desk)
            self.hour += 1
            if self._silent(target):
                # Nothing else can be said of the hours that follow, however many there are.
                self.hour = max(self.hour, (desk.now - LATE_INTERVALS * target.interval) // HOUR_MS)

    def quiet_until(self, target: Watched) -> int:
        """Always: what is covered can be counted without results."""
        return FOREVER

    def pass_over(self, target: Watched, until: int) -> None:
        """Count every slot before a moment at the locations that are there."""
        newest = max((one.newest for one in self.counted.values()), default=NEVER)
        last = -((target.phase - until) // target.interval) - 1
        for counted in self.counted.values():
            if counted.newest >= newest - 1:
                counted.fill(target, last)

    def next_wake(self, target: Watched) -> int | None:
        """When the hour is over, unless it will be as the one before."""
        return None if self.hour is None or self._silent(target) else self._judged_at(target, self.hour)

    def change_policy(self, policy: MissedPolicy) -> None:
        """Judge the next hour by another coverage."""
        self.policy = policy

    def change_interval(self, before: Watched, after: Watched) -> None:
        """Count anew from now on."""
        self.counted, self.hour = {}, None

    def withdraw(self, target: Watched, cause: str, desk: Desk) -> None:
        """End its alert, because there is nothing to watch any more."""
        if self.standing and desk.now is not None:
            self.standing.tell(State.RESOLVED, target, self.policy, desk, at=desk.now, since=desk.now, cause=cause)
            self.standing = None

    def _judged_at(self, target: Watched, hour: int) -> int:
        return (hour + 1) * HOUR_MS + LATE_INTERVALS * target.interval

    def _newest(self, target: Watched) -> int:
        """The newest hour in which a location was there."""
        return max((target.moment(one.seen) // HOUR_MS for one in self.counted.values()), default=0)

    def _silent(self, target: Watched) -> bool:
        """Whether there was no result at all in the hour that was judged last."""
        return self.hour is not None and self._newest(target) < self.hour - 1

    def _judge(self, target: Watched, hour: int, desk: Desk) -> None:
        bad = [location for location in list(self.counted) if self._falls_short(target, location, hour)]
        at, since = (hour + 1) * HOUR_MS, hour * HOUR_MS
        if len(bad) >= self.policy.locations.at_least:
            if self.standing is None:
                self.standing = Standing()
                self.standing.tell(State.FIRING, target, self.policy, desk, at=at, since=since, locations=sorted(bad))
        elif self.standing:
            good = sorted(self.counted.keys() - set(bad))
            self.standing.tell(State.RESOLVED, target, self.policy, desk, at=at, since=since, locations=good)
            self.standing = None

    def _falls_short(self, target: Watched, location: str, hour: int) -> bool:
        counted = self.counted[location]
        if target.moment(counted.seen) // HOUR_MS < min(hour, self._newest(target)) - REMOVED_AFTER:
            del self.counted[location]
            return False
        start = max(hour * HOUR_MS, target.moment(counted.first))
        first = -((target.phase - start) // target.interval)
        last = -((target.phase - (hour + 1) * HOUR_MS) // target.interval)
        covered = counted.hours.pop(hour, 0)
        return last > first and 100 * covered < self.policy.coverage * (last - first)
