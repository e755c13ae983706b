"""Decides about results that are all known, and passes over the even stretches of them.

Results count in the order in which they finished, and the clock of the decisions is theirs: nobody's clock is to be
doubted, because they are sorted by it. What is told is the same as if each result had been taken.

A result that finished after the period counts for nothing: it would move the clock beyond the period for some targets
and not for others.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Protocol

from monitoring_alerting.decider import Decider
from monitoring_core.clock import to_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from monitoring_alerting.course import Span
    from monitoring_alerting.policies import Policies
    from monitoring_alerting.targets import Watched
    from monitoring_alerting.transition import Transition
    from monitoring_core.result import CheckResult

# Where something is remembered of an alert that even results change, they are looked at: so many slots at a time.
_SLOTS_A_LOOK = 16

Key = tuple[int, int, int, str]


class Results(Protocol):
    """The results of targets."""

    def of(self, target_id: int, spans: Sequence[Span]) -> Iterator[CheckResult]:
        """Those that were due in one of these times (ms; the end is not included), in the order of `key`."""
        ...


def key(result: CheckResult) -> Key:
    """The order of results: when they finished; where that is not known, when they were due."""
    due = to_ms(result.scheduled_at)
    return due if result.finished_at is None else to_ms(result.finished_at), due, result.target_id, result.location


def replay(
    policies: Policies,
    targets: Sequence[Watched],
    spans: Mapping[int, Sequence[Span]],
    results: Results,
    period: Span,
) -> list[Transition]:
    """What is told of targets, in order.

    Args:
        spans: by target, the times in which its results are not even, with those beside them; see Course.spans.
        period: from when until when (ms).
    """
    begin, end = period
    decider = Decider(policies, targets)
    said = decider.advance(begin)
    looks = [_Look(decider, target, results, end) for target in targets]
    for at, result in heapq.merge(*(look.over(spans[look.target.id]) for look in looks)):
        if at[0] >= end:
            break
        said += decider.advance(at[0])
        said += decider.take(result)
    said += decider.advance(end)
    return said + decider.finish()


class _Look:
    """Gives the results of a target that have to be taken, and passes over the others."""

    def __init__(self, decider: Decider, target: Watched, results: Results, end: int) -> None:
        self.target = target
        self._decider = decider
        self._results = results
        self._end = end

    def over(self, spans: Sequence[Span]) -> Iterator[tuple[Key, CheckResult]]:
        """The results of these times, and of those after them until the decider has nothing to say of the target.

        Whoever takes a result must have decided it before the next one is asked for.
        """
        left = _Peeked(self._results.of(self.target.id, spans))
        for number, (_, end) in enumerate(spans):
            yield from left.until(end)
            next_begin = spans[number + 1][0] if number + 1 < len(spans) else self._end
            while end < next_begin:
                more = min(self._decider.quiet_until(self.target.id), next_begin)
                if more > end:
                    self._decider.pass_over(self.target.id, more)
                else:
                    more = min(end + _SLOTS_A_LOOK * self.target.interval, next_begin)
                    for result in self._results.of(self.target.id, [(end, more)]):
                        yield key(result), result
                end = more


class _Peeked:
    """Results one span after another, of one run over all of them."""

    def __init__(self, results: Iterator[CheckResult]) -> None:
        self._results = results
        self._next = next(results, None)

    def until(self, end: int) -> Iterator[tuple[Key, CheckResult]]:
        """Those that were due before a moment."""
        while self._next is not None and to_ms(self._next.scheduled_at) < end:
            yield key(self._next), self._next
            self._next = next(self._results, None)
