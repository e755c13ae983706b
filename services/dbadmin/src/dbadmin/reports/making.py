"""Makes a report of a month."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

import attrs

from dbadmin.connect import connected
from dbadmin.reports.counting import Counting
from dbadmin.reports.figures import Sums, budget_left_s, figures, joined_lengths
from dbadmin.reports.model import Line, Report, Summary
from dbadmin.reports.moments import moment, month_span
from dbadmin.reports.outages import Outage, joined, lengths
from dbadmin.reports.pieces import Span, cut, merged
from dbadmin.reports.reading import Reading
from monitoring_alerting.policies import matches
from monitoring_core.due import RESULTS_WITHIN, milliseconds
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dbadmin.reports.figures import Counts
    from dbadmin.reports.model import Question
    from dbadmin.reports.outages import Lengths
    from dbadmin.reports.pieces import Cuts, Kind
    from dbadmin.reports.reading import Due
    from monitoring_alerting.windows import Window
    from monitoring_core.config import DatabaseConfig


def make_report(config: DatabaseConfig, question: Question) -> Report:
    """Make a report of what is rolled up.

    Raises:
        StopError: there is nothing to report, or PostgreSQL refuses.
        OutageError: PostgreSQL cannot be reached.
        ValueError: there is no such month, or no such time zone.
    """
    begin, end = month_span(question.month, question.timezone)
    with connected(config) as connection:
        return _Making(Reading(connection, config.schema), question, begin, end).report()


@attrs.frozen
class _Found:
    """What was found of a target: its line, and what that was made of."""

    line: Line
    all_sums: Sums
    outside_sums: Sums
    all_lengths: Lengths
    outside_lengths: Lengths


class _Making:
    def __init__(self, reading: Reading, question: Question, begin: dt.datetime, end: dt.datetime) -> None:
        self._reading = reading
        self._question = question
        self._objective = question.objective / 100
        self._begin, self._end = begin, end
        self._until = self._rolled_up()
        self._counting = Counting(reading)
        self._windows: list[tuple[Window, list[tuple[int, int]]]] = []
        self._faulty: dict[int, str] = {}

    def report(self) -> Report:
        self._read_windows()
        due = [
            list(some)
            for _, some in groupby(
                self._reading.due(self._begin, self._until, self._question.labels, self._question.location),
                key=lambda one: one.target_id,
            )
        ]
        if not due:
            raise StopError(f"no report: nothing was due in {self._question.month}{self._asked()}{self._so_far()}")
        windows = self._plan(due)
        counts = self._counting.count()
        outages = self._outages()
        found = [
            self._found(some, counts, windows[some[0].target_id], outages.get(some[0].target_id, [])) for some in due
        ]
        if all(one.line.all.due == one.line.all.absent for one in found):
            raise StopError(f"no report: there is no result of {self._question.month}{self._asked()}")
        return Report(
            question=self._question,
            begin=self._begin,
            end=self._end,
            until=self._until,
            inexact_hours=self._counting.inexact,
            summary=self._summary(found),
            lines=tuple(sorted((one.line for one in found), key=_worst_first)),
            faulty_windows=self._faulty,
        )

    def _rolled_up(self) -> dt.datetime:
        """Until when the month can be told: the last hour that is rolled up with all its results."""
        now, rolled_up = self._reading.progress()
        month = self._question.month
        if self._begin >= now:
            raise StopError(f"no report: {month} is in the future")
        if rolled_up is None:
            raise StopError("no report: nothing was ever rolled up, run dbadmin maintain")
        until = min(self._end, (rolled_up - RESULTS_WITHIN).replace(minute=0, second=0, microsecond=0))
        if until <= self._begin:
            raise StopError(
                f"no report: nothing of {month} is rolled up yet, run dbadmin maintain once an hour is over"
            )
        return until

    def _read_windows(self) -> None:
        for window in self._reading.windows(self._until):
            try:
                found = merged(
                    (
                        max(milliseconds(begin), milliseconds(self._begin)),
                        min(milliseconds(end), milliseconds(self._until)),
                    )
                    for begin, end in window.occurrences(self._begin, self._until)
                )
            except ValueError as error:
                self._faulty[window.id] = str(error)
                continue
            if found:
                self._windows.append((window, found))

    def _plan(self, due: Iterable[Sequence[Due]]) -> dict[int, tuple[tuple[int, int], ...]]:
        """Cut the time of each target; returns when maintenance windows hold for it."""
        marked = {milliseconds(dt.datetime.combine(day, dt.time(), dt.UTC)) for day in self._reading.marked_days()}
        known: dict[object, Mapping[str, Cuts]] = {}
        windows = {}
        for some in due:
            labels = some[0].labels
            held = tuple(
                merged(one for window, found in self._windows if matches(window.match, labels) for one in found)
            )
            spans = tuple(self._span(one) for one in some)
            if (spans, held) not in known:
                known[spans, held] = cut(spans, held, marked)
            for location, cuts in known[spans, held].items():
                self._counting.add(some[0].target_id, location, cuts)
            windows[some[0].target_id] = held
        return windows

    def _span(self, due: Due) -> Span:
        begin = max(due.due_from, self._begin)
        end = self._until if due.due_until is None else min(due.due_until, self._until)
        return Span(due.location, milliseconds(begin), milliseconds(end), due.interval_s)

    def _outages(self) -> dict[int, list[Outage]]:
        found: dict[int, list[Outage]] = defaultdict(list)
        for target_id, began, ended, recovered in self._reading.incidents(
            self._begin, self._until, self._question.location
        ):
            over = ended is not None and ended <= self._until
            begin, end = max(began, self._begin), min(ended or self._until, self._until)
            found[target_id].append(Outage(milliseconds(begin), milliseconds(end), over and bool(recovered)))
        return {target_id: joined(some) for target_id, some in found.items()}

    def _found(
        self,
        due: Sequence[Due],
        counts: Mapping[tuple[int, str], Mapping[Kind, Counts]],
        windows: Sequence[tuple[int, int]],
        outages: Sequence[Outage],
    ) -> _Found:
        target_id = due[0].target_id
        locations = tuple(dict.fromkeys(one.location for one in due))
        everything, outside = Sums(), Sums()
        for location in locations:
            kinds = counts[target_id, location]
            everything.join(Sums.of(kinds))
            outside.join(Sums.of({kind: some for kind, some in kinds.items() if not kind.maintenance}))
        all_of, outside_of = lengths(outages), lengths(outages, windows)
        spans = [self._span(one) for one in due]
        line = Line(
            target_id=target_id,
            url=due[-1].url or "",
            labels=due[-1].labels,
            locations=locations,
            due_from=moment(min(one.begin for one in spans)),
            due_until=moment(max(one.end for one in spans)),
            all=figures(everything, all_of, self._objective),
            outside=figures(outside, outside_of, self._objective),
        )
        return _Found(line, everything, outside, all_of, outside_of)

    def _summary(self, found: Sequence[_Found]) -> Summary:
        everything, outside = Sums(), Sums()
        for one in found:
            everything.join(one.all_sums)
            outside.join(one.outside_sums)
        known = [one.outside_sums for one in found if one.outside_sums.known_s]
        met = sum(budget_left_s(one, self._objective) >= 0 for one in known)
        return Summary(
            targets=len(found),
            met=met,
            missed=len(known) - met,
            not_known=len(found) - len(known),
            all=figures(everything, joined_lengths(one.all_lengths for one in found), self._objective),
            outside=figures(outside, joined_lengths(one.outside_lengths for one in found), self._objective),
        )

    def _asked(self) -> str:
        """What narrows the question, as the end of a sentence."""
        words = [f"{name}={value}" for name, value in self._question.labels.items()]
        if self._question.location is not None:
            words.append(f"location {self._question.location}")
        return f" with {', '.join(words)}" if words else ""

    def _so_far(self) -> str:
        """Up to when a month is known that is not known to its end, as the end of a sentence."""
        if self._until == self._end:
            return ""
        return f" before {self._until:%Y-%m-%d %H:%M} UTC, and later hours are not rolled up yet"


def _worst_first(line: Line) -> tuple[float, float, float, str, int]:
    """By availability outside of maintenance, then in all the time; those of which nothing is known come last."""
    outside, everything = (2 if one.availability is None else one.availability for one in (line.outside, line.all))
    return (outside, everything, line.all.coverage or 0, line.url, line.target_id)
