"""Runs a backtest in several processes: one day of results each, and then one group of targets each."""

from __future__ import annotations

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import attrs
from msgspec.structs import replace

from monitoring_alerting.course import Course, alone, lead_of
from monitoring_alerting.policies import CertificatePolicy, DegradedPolicy
from monitoring_alerting.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alert_svc.backtest.ports import History
    from monitoring_alerting.course import Span
    from monitoring_alerting.policies import Policies
    from monitoring_alerting.targets import Watched
    from monitoring_alerting.transition import Transition

_DAY_MS = 86_400_000
_TARGETS_A_TASK = 20


@attrs.frozen
class Backtest:
    """What every process needs to know.

    Attributes:
        open_history: makes the history anew in each process.
        all_policies: those that are compared, each on the same results.
        period: from when until when (ms).
    """

    open_history: Callable[[], History]
    all_policies: Sequence[Policies]
    targets: Sequence[Watched]
    period: Span

    def courses(self, history: History, span: Span) -> Mapping[int, Course]:
        """The course of each target's results, as all the policies need it."""
        every = [one for policies in self.all_policies for one in policies.all]
        slow = (one.response_time.total_seconds() for one in every if isinstance(one, DegradedPolicy))
        certificates = any(isinstance(one, CertificatePolicy) for one in every)
        return history.courses(self.targets, span, min(slow, default=math.inf), certificates)

    def run(self, processes: int, tell: Callable[[float], None]) -> list[list[Transition]]:
        """What each of the policies would have told, target by target, without the results that it rests on.

        Args:
            tell: is told which share of the work is done.
        """
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, _begin, (self,)) as pool:
            courses = {target.id: Course() for target in self.targets}
            days = list(_days(self.period))
            for number, found in enumerate(pool.map(_courses, days), start=1):
                for target in self.targets:
                    if target.id in found:
                        courses[target.id].join(target, found[target.id])
                tell(0.5 * number / len(days))
            told: list[list[Transition]] = [[] for _ in self.all_policies]
            tasks = [task for number in range(len(told)) for task in self._tasks(number, courses)]
            for number, said in enumerate(pool.map(_decide, tasks), start=1):
                told[tasks[number - 1][0]] += said
                tell(0.5 + 0.5 * number / len(tasks))
        return told

    def _tasks(self, number: int, courses: Mapping[int, Course]) -> Iterator[_Task]:
        """The groups of targets, and when their results must be looked at one by one."""
        policies = self.all_policies[number]
        groups, parents = alone(policies, self.targets)
        lead = lead_of(policies)
        for begin in range(0, len(groups), _TARGETS_A_TASK):
            some = groups[begin : begin + _TARGETS_A_TASK]
            spans = {
                target.id: [self.period]
                if target.id in parents
                else courses[target.id].spans(target, lead, *self.period)
                for group in some
                for target in group
            }
            yield number, some, spans


_Task = tuple[int, "list[list[Watched]]", "dict[int, list[Span]]"]

# Of a process of the pool.
_work: list[tuple[Backtest, History]] = []


def _begin(backtest: Backtest) -> None:
    _work[:] = [(backtest, backtest.open_history())]


def _courses(day: Span) -> Mapping[int, Course]:
    backtest, history = _work[0]
    return backtest.courses(history, day)


def _decide(task: _Task) -> list[Transition]:
    number, groups, spans = task
    backtest, history = _work[0]
    said = (
        one for group in groups for one in replay(backtest.all_policies[number], group, spans, history, backtest.period)
    )
    return [replace(one, results=[]) for one in said]


def _days(period: Span) -> Iterator[Span]:
    """The days (UTC) of a time, since results are kept in a partition for each of them."""
    begin, end = period
    while begin < end:
        next_begin = min((begin // _DAY_MS + 1) * _DAY_MS, end)
        yield begin, next_begin
        begin = next_begin
