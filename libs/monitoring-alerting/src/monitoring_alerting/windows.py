"""Maintenance windows: when each of them holds, once or again and again in a time zone, and for which targets."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

import attrs
import recurring_ical_events
from icalendar import Calendar, Event, vRecur

from monitoring_alerting.policies import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DAY = dt.timedelta(days=1)
_MINUTE = dt.timedelta(minutes=1)
LONGEST = 366 * _DAY
# Occurrences are computed for a time ahead, and again when that is over.
_AHEAD = 8 * _DAY
_EVERY_SO_OFTEN = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")


@attrs.frozen(kw_only=True)
class Window:
    """A maintenance window; moments are UTC.

    Attributes:
        match: the labels that a target must have; none of them matches every target.
        begins_at: when it begins; the first time, if it recurs.
        ends_at: when it ends; the first time, if it recurs.
        zone: the time zone in which it recurs.
        recurrence: an RRULE (RFC 5545, section 3.3.10); None for once.
        ended_at: when somebody ended it for good.
    """

    id: int
    match: Mapping[str, str]
    begins_at: dt.datetime
    ends_at: dt.datetime
    zone: str = "UTC"
    recurrence: str | None = None
    ended_at: dt.datetime | None = None

    def problem(self) -> str | None:
        """What is wrong with it, in a sentence; None when nothing is."""
        problem = self._problem_as_stated()
        if problem is None and self.recurrence is not None:
            try:
                self._starts(self.recurrence, self.begins_at, self.begins_at + _AHEAD)
            except ValueError as error:
                return str(error)
        return problem

    def _problem_as_stated(self) -> str | None:
        """What is wrong with it, as far as that is seen without following its recurrence."""
        if self.ends_at <= self.begins_at:
            return "it must end after it begins"
        if self.ends_at - self.begins_at > LONGEST:
            return f"it must last at most {LONGEST.days} days"
        try:
            zoneinfo.ZoneInfo(self.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            return f"{self.zone!r} is no time zone like Europe/Berlin"
        return _problem_of(self.recurrence) if self.recurrence is not None else None

    def occurrences(self, begin: dt.datetime, end: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """When it holds, as far as that touches the time from `begin` until `end`, in order.

        It recurs at the same time of the day in its zone and lasts equally long each time (RFC 5545, section 3.8.5.3).
        A time that a change of daylight saving leaves out is meant by the offset before the change; of one that comes
        twice, the first is meant (section 3.3.5).

        Raises:
            ValueError: the window has a problem.
        """
        if problem := self._problem_as_stated():
            raise ValueError(problem)
        length = self.ends_at - self.begins_at
        until = end if self.ended_at is None else min(end, self.ended_at)
        starts = (
            [self.begins_at] if self.recurrence is None else self._starts(self.recurrence, begin - length - _DAY, until)
        )
        for start in starts:
            stop = start + length if self.ended_at is None else min(start + length, self.ended_at)
            if start < until and stop > begin and stop > start:
                yield start, stop

    def _starts(self, rule: str, begin: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
        if begin >= end:
            return []
        try:
            event = Event()
            event.start = self.begins_at.astimezone(zoneinfo.ZoneInfo(self.zone))
            event.end = event.start + dt.timedelta(minutes=1)
            event.add("rrule", vRecur.from_ical(rule))
            calendar = Calendar()
            calendar.add_component(event)
            found = recurring_ical_events.of(calendar).between(begin, end)
        except Exception as error:  # what the library says of a rule that it cannot follow
            raise ValueError(f"{rule!r} cannot be followed: {type(error).__name__}") from None
        # Through UTC, because the arithmetic of one zone ignores its changes.
        return sorted(one.start.astimezone(dt.UTC) for one in found)


# When it begins and ends.
_Occurrence = tuple[dt.datetime, dt.datetime, Window]


class Windows:
    """Many windows, and which of them hold at a moment.

    Attributes:
        faulty: the windows that cannot be used, with the reason; they never hold.
    """

    def __init__(self, windows: Iterable[Window]) -> None:
        self._windows = list(windows)
        self.faulty: dict[int, str] = {}
        self._from = self._until = dt.datetime.min.replace(tzinfo=dt.UTC)
        # By the first label that they ask for; None for those that ask for none.
        self._known: dict[tuple[str, str] | None, list[_Occurrence]] = {}
        self._minute: dt.datetime | None = None
        # Of those, the ones that touch the minute, for each label that was asked about.
        self._near: dict[tuple[str, str] | None, list[_Occurrence]] = {}

    def holding(self, moment: dt.datetime, labels: Mapping[str, str]) -> int | None:
        """The window that holds for a target with these labels, the one that ends last of several; None for none."""
        last = self._last(moment, labels)
        return last[1] if last else None

    def held_until(self, moment: dt.datetime, labels: Mapping[str, str]) -> dt.datetime | None:
        """When that window ends; None where none holds."""
        last = self._last(moment, labels)
        return last[0] if last else None

    def _last(self, moment: dt.datetime, labels: Mapping[str, str]) -> tuple[dt.datetime, int] | None:
        """The end and the number of the window that holds and ends last."""
        minute = moment.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._look_at(minute)
        holding = (
            (end, window.id)
            for asked in (None, *labels.items())
            for begin, end, window in self._touching(asked, minute)
            if begin <= moment < end and matches(window.match, labels)
        )
        return max(holding, default=None)

    def _look_at(self, minute: dt.datetime) -> None:
        self._minute = minute
        self._near = {}
        if minute >= self._from and minute + _MINUTE <= self._until:
            return
        self._from, self._until = minute - _DAY, minute + _AHEAD
        self._known = {}
        for window in self._windows:
            for one in self._occurrences(window):
                self._known.setdefault(next(iter(window.match.items()), None), []).append(one)

    def _touching(self, asked: tuple[str, str] | None, minute: dt.datetime) -> list[_Occurrence]:
        if asked not in self._known:
            return []
        near = self._near.get(asked)
        if near is None:
            end = minute + _MINUTE
            near = self._near[asked] = [one for one in self._known[asked] if one[0] < end and one[1] > minute]
        return near

    def _occurrences(self, window: Window) -> Iterator[_Occurrence]:
        try:
            for begin, end in window.occurrences(self._from, self._until):
                yield begin, end, window
        except ValueError as error:
            self.faulty[window.id] = str(error)


def _problem_of(rule: str) -> str | None:
    try:
        (often,) = vRecur.from_ical(rule).get("FREQ", [""])
    except (ValueError, TypeError):
        often = ""
    if str(often).upper() not in _EVERY_SO_OFTEN:
        return f"{rule!r} is no RRULE like FREQ=WEEKLY;BYDAY=SU, at most once an hour"
    return None
