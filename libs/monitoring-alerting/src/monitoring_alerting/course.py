"""Where the results of a target go on evenly, so that each of them says the same as the one before, and where not.

Results are even when each location has one good result for each slot, in time, and sees the same end of a certificate.
What an even stretch does to a decider that has nothing to say of the target is known without looking at its results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_alerting.policies import QuorumPolicy
from monitoring_alerting.seats import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring_alerting.policies import Policies
    from monitoring_alerting.targets import Watched

Span = tuple[int, int]
# Slots for which a location that has gone is looked at, and slots beside what is uneven.
_GONE_SLOTS = 3
_BESIDE = 4


@attrs.frozen(kw_only=True)
class Stretch:
    """Results of one location that were due one after another, in short; moments are milliseconds.

    Attributes:
        first: when the first of them was due, and `last` when the last one was.
        count: how many there are.
        even: whether each was due at a slot of the target, and finished within its interval.
        earliest: when the first of them finished, and `latest` when the last one did.
        bad: when the first and the last of those were due that are not good.
        ends: the first and the last end of a certificate that they saw; None where none of them saw one.
        all_ends: whether all of them saw one, or none.
    """

    location: str
    first: int
    last: int
    count: int
    even: bool
    earliest: int
    latest: int
    bad: Span | None = None
    ends: Span | None = None
    all_ends: bool = True


@attrs.define
class Course:
    """The results of a target over a time.

    Attributes:
        uneven: the times, both ends included, in which they are not even; in any order.
        begins: location -> its first slot, and the end of a certificate seen there; `ends` its last one.
    """

    uneven: list[Span] = attrs.field(factory=list)
    begins: dict[str, tuple[int, int | None]] = attrs.field(factory=dict)
    ends: dict[str, tuple[int, int | None]] = attrs.field(factory=dict)

    def add(self, target: Watched, stretch: Stretch) -> None:
        """Add what follows at a location."""
        first, last = stretch.first, stretch.last
        if not stretch.even:
            before = (WIDTH + 1) * target.interval
            self.uneven.append((min(first, stretch.earliest) - before, max(last, stretch.latest)))
        elif stretch.count != (last - first) // target.interval + 1 or not _one_end(stretch):
            self.uneven.append((first, last))
        elif stretch.bad:
            self.uneven.append(stretch.bad)
        end = stretch.ends[0] if stretch.ends else None
        self._follow(target, stretch.location, (first, end), (last, end))

    def join(self, target: Watched, later: Course) -> None:
        """Add the course of the time that follows."""
        self.uneven += later.uneven
        for location, begin in later.begins.items():
            self._follow(target, location, begin, later.ends[location])

    def spans(self, target: Watched, lead: int, begin: int, end: int) -> list[Span]:
        """The times whose results must be looked at one by one, in order, with those beside them.

        Args:
            lead: how many slots before an uneven result its decision may rest on.
        """
        newest = max((last for last, _ in self.ends.values()), default=begin)
        found = [(begin, begin), (newest, end), *self.uneven]
        found += [(last, last + _GONE_SLOTS * target.interval) for last, _ in self.ends.values()]
        found += [(first, first) for first, _ in self.begins.values()]
        beside = (lead + _BESIDE) * target.interval
        spans: list[Span] = []
        for first, last in sorted((max(begin, first - beside), min(end, last + beside)) for first, last in found):
            if spans and first <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(last, spans[-1][1])
            elif first < last:
                spans.append((first, last))
        return spans

    def _follow(
        self, target: Watched, location: str, begin: tuple[int, int | None], end: tuple[int, int | None]
    ) -> None:
        before = self.ends.get(location)
        if before is None:
            self.begins[location] = begin
        elif begin[0] - before[0] != target.interval or begin[1] != before[1]:
            self.uneven.append((min(before[0], begin[0]), max(before[0], begin[0])))
        self.ends[location] = max(before, end, key=lambda one: one[0]) if before else end


def lead_of(policies: Policies) -> int:
    """How many slots a decision may rest on by these policies, beside the one that it is about."""
    return max(
        (max(one.failures.window, one.recovery.slots) for one in policies.all if isinstance(one, QuorumPolicy)),
        default=1,
    )


def alone(policies: Policies, targets: Iterable[Watched]) -> tuple[list[list[Watched]], set[int]]:
    """The targets in groups that are decided apart from each other, and which of them are parents."""
    depends = {one.name: one.depends_on for one in policies.all if one.depends_on}
    everyone = list(targets)
    parents = {
        target.id
        for on in depends.values()
        for target in everyone
        if target.id == on.target or (on.labels and on.labels.items() <= target.labels.items())
    }
    apart: list[list[Watched]] = []
    together: list[Watched] = []
    for target in everyone:
        behind = parents and any(policy.name in depends for policy in policies.chosen(target.labels))
        if behind or target.id in parents:
            together.append(target)
        else:
            apart.append([target])
    return ([together] if together else []) + apart, parents


def _one_end(stretch: Stretch) -> bool:
    return stretch.all_ends and (stretch.ends is None or stretch.ends[0] == stretch.ends[1])
