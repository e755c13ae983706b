"""Maintenance windows hold when they should, also where clocks are changed."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import attrs
import pytest

from monitoring_alerting.windows import Window, Windows

HOUR = dt.timedelta(hours=1)


def weekly(zone: str, first: str, hours: float, rule: str = "FREQ=WEEKLY") -> Window:
    """A window that begins at a local time."""
    begins = dt.datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)
    return Window(id=1, match={}, begins_at=begins, ends_at=begins + hours * HOUR, zone=zone, recurrence=rule)


def held(window: Window, begin: str, days: int) -> list[tuple[str, str]]:
    """When it holds in the days from `begin` on, in UTC."""
    start = dt.datetime.fromisoformat(begin).replace(tzinfo=dt.UTC)
    return [
        (f"{one:%m-%d %H:%M}", f"{two:%m-%d %H:%M}")
        for one, two in window.occurrences(start, start + dt.timedelta(days=days))
    ]


@pytest.mark.parametrize(
    ("window", "begin", "days", "expected"),
    [
        # Berlin, Sunday 29 March 2026: 02:00 becomes 03:00; 25 October: 03:00 becomes 02:00.
        (
            weekly("Europe/Berlin", "2026-03-22T01:00", 3),
            "2026-03-20",
            22,
            [
                ("03-22 00:00", "03-22 03:00"),
                ("03-29 00:00", "03-29 03:00"),
                ("04-04 23:00", "04-05 02:00"),
            ],
        ),
        # 02:30 is left out that day; it is meant by the offset before the change.
        (
            weekly("Europe/Berlin", "2026-03-28T02:30", 1, "FREQ=DAILY"),
            "2026-03-28",
            3,
            [
                ("03-28 01:30", "03-28 02:30"),
                ("03-29 01:30", "03-29 02:30"),
                ("03-30 00:30", "03-30 01:30"),
            ],
        ),
        # 02:30 comes twice that day; the first is meant.
        (
            weekly("Europe/Berlin", "2026-10-24T02:30", 1, "FREQ=DAILY"),
            "2026-10-24",
            3,
            [
                ("10-24 00:30", "10-24 01:30"),
                ("10-25 00:30", "10-25 01:30"),
                ("10-26 01:30", "10-26 02:30"),
            ],
        ),
        # New York, 8 March and 1 November 2026.
        (
            weekly("America/New_York", "2026-03-07T22:00", 8, "FREQ=DAILY"),
            "2026-03-08",
            3,
            [
                ("03-08 03:00", "03-08 11:00"),
                ("03-09 02:00", "03-09 10:00"),
                ("03-10 02:00", "03-10 10:00"),
            ],
        ),
        (
            weekly("America/New_York", "2026-10-31T01:30", 1, "FREQ=DAILY;COUNT=3"),
            "2026-10-30",
            9,
            [
                ("10-31 05:30", "10-31 06:30"),
                ("11-01 05:30", "11-01 06:30"),
                ("11-02 06:30", "11-02 07:30"),
            ],
        ),
        # Lord Howe changes by half an hour: 5 April 2026 02:00 becomes 01:30, 4 October 02:00 becomes 02:30.
        (
            weekly("Australia/Lord_Howe", "2026-04-04T12:00", 2, "FREQ=DAILY"),
            "2026-04-04",
            3,
            [
                ("04-04 01:00", "04-04 03:00"),
                ("04-05 01:30", "04-05 03:30"),
                ("04-06 01:30", "04-06 03:30"),
            ],
        ),
        (
            weekly("Australia/Lord_Howe", "2026-10-03T02:15", 1, "FREQ=DAILY"),
            "2026-10-02",
            3,
            [
                ("10-02 15:45", "10-02 16:45"),
                ("10-03 15:45", "10-03 16:45"),
                ("10-04 15:15", "10-04 16:15"),
            ],
        ),
        # The last Friday of each month, of which one is before the time in question and still holds.
        (
            weekly("UTC", "2026-01-30T20:00", 100, "FREQ=MONTHLY;BYDAY=-1FR"),
            "2026-03-01",
            30,
            [("02-27 20:00", "03-04 00:00"), ("03-27 20:00", "04-01 00:00")],
        ),
    ],
)
def test_a_window_recurs_at_its_local_time_and_lasts_equally_long(
    window: Window, begin: str, days: int, expected: list[tuple[str, str]]
) -> None:
    """Whatever the clocks there are changed to."""
    assert held(window, begin, days) == expected


def test_a_window_that_was_ended_holds_no_more() -> None:
    """From that moment on, whatever its rule says."""
    window = weekly("UTC", "2026-11-24T10:00", 2, "FREQ=DAILY")
    ended = attrs.evolve(window, ended_at=dt.datetime(2026, 11, 25, 11, tzinfo=dt.UTC))
    assert held(ended, "2026-11-24", 5) == [("11-24 10:00", "11-24 12:00"), ("11-25 10:00", "11-25 11:00")]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"zone": "Europe/Berln"}, "'Europe/Berln' is no time zone like Europe/Berlin"),
        ({"zone": "../../etc/passwd"}, "'../../etc/passwd' is no time zone like Europe/Berlin"),
        (
            {"recurrence": "FREQ=SECONDLY"},
            "'FREQ=SECONDLY' is no RRULE like FREQ=WEEKLY;BYDAY=SU, at most once an hour",
        ),
        ({"recurrence": "sometimes"}, "'sometimes' is no RRULE like FREQ=WEEKLY;BYDAY=SU, at most once an hour"),
        ({"recurrence": "FREQ=WEEKLY;BYDAY=XX"}, "'FREQ=WEEKLY;BYDAY=XX' "),
        ({"ends_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "it must end after it begins"),
        ({"ends_at": dt.datetime(2029, 1, 1, tzinfo=dt.UTC)}, "it must last at most 366 days"),
    ],
)
def test_what_is_wrong_with_a_window_is_said(changes: dict[str, object], problem: str) -> None:
    """And it never holds."""
    window = attrs.evolve(weekly("UTC", "2026-11-24T10:00", 2), **changes)  # type: ignore[arg-type]
    assert (window.problem() or "").startswith(problem)
    windows = Windows([window])
    assert windows.holding(dt.datetime(2026, 11, 24, 11, tzinfo=dt.UTC), {}) is None
    assert windows.faulty[1].startswith(problem)


def test_of_many_windows_the_one_that_matches_and_ends_last_is_named() -> None:
    """The begin belongs to it, the end does not."""
    at = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)
    windows = Windows(
        [
            Window(id=1, match={"team": "shop"}, begins_at=at, ends_at=at + HOUR),
            Window(id=2, match={"team": "shop"}, begins_at=at, ends_at=at + 2 * HOUR),
            Window(id=3, match={"team": "post"}, begins_at=at, ends_at=at + 3 * HOUR),
        ]
    )
    shop = {"team": "shop", "env": "prod"}
    second = dt.timedelta(seconds=1)
    moments = [at - second, at, at + HOUR, at + 2 * HOUR - second, at + 2 * HOUR]
    assert [windows.holding(moment, shop) for moment in moments] == [None, 2, 2, 2, None]
    end = at + 2 * HOUR
    assert [windows.held_until(moment, shop) for moment in moments] == [None, end, end, end, None]
    assert windows.holding(at, {}) is None
    assert windows.holding(at + dt.timedelta(days=30), shop) is None
