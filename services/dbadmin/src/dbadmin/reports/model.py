"""What a report is about, and what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from fractions import Fraction

    from dbadmin.reports.figures import Figures


@attrs.frozen
class Question:
    """What a report is about.

    Attributes:
        month: like 2026-10.
        timezone: where the month is.
        objective: per cent of the known time in which a website should be up.
        labels: only targets with all of these labels.
        location: only as seen from this location.
    """

    month: str
    timezone: str
    objective: Fraction
    labels: Mapping[str, str]
    location: str | None


@attrs.frozen
class Line:
    """A target in a report.

    Attributes:
        url: as it is now, or was when it was deleted.
        locations: those that it was due from.
        due_from, due_until: the time of the report in which it was due, from the first slot's place to the last's.
        all: the figures of all that time.
        outside: those of the time outside of maintenance windows.
    """

    target_id: int
    url: str
    labels: Mapping[str, str]
    locations: tuple[str, ...]
    due_from: dt.datetime
    due_until: dt.datetime
    all: Figures
    outside: Figures


@attrs.frozen
class Summary:
    """All targets together.

    Attributes:
        met, missed: how many targets have error budget left outside of maintenance windows, and how many do not.
        not_known: of how many nothing is known.
    """

    targets: int
    met: int
    missed: int
    not_known: int
    all: Figures
    outside: Figures


@attrs.frozen
class Report:
    """A report of a month.

    Attributes:
        begin: when the month begins.
        end: when it ends.
        until: how far the report goes: before the end when later hours are not rolled up yet.
        inexact_hours: how many hours of a target at a location lie in a window only in part, and have lost their rows.
        lines: the targets, those with the lowest availability first.
        faulty_windows: maintenance windows that were left out, with the reason.
    """

    question: Question
    begin: dt.datetime
    end: dt.datetime
    until: dt.datetime
    inexact_hours: int
    summary: Summary
    lines: tuple[Line, ...]
    faulty_windows: Mapping[int, str]
