"""The comparison at the end: the checks that were due against the rows in the database."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from monitoring_core.clock import from_ms
from monitoring_core.result import Reason
from monitoring_core.schedule import slots_between

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from local_stack.websites import SampleWebsite


@attrs.frozen
class Window:
    """The time in which a target was to be checked: milliseconds since the epoch, the end not included."""

    target_id: int
    interval_s: int
    start_ms: int
    end_ms: int

    def slots(self) -> set[tuple[int, dt.datetime]]:
        """The target's id and the slot of each row that must be in the table."""
        slots = slots_between(self.target_id, self.interval_s, self.start_ms, self.end_ms)
        return {(self.target_id, from_ms(slot)) for slot in slots}


@attrs.frozen
class Row:
    """The part of a row that is compared."""

    target_id: int
    scheduled_at: dt.datetime
    status: str
    reason: str | None


@attrs.frozen
class Comparison:
    """The numbers that come from comparing the rows with the slots that were due.

    Attributes:
        as_expected: how many rows of samples have the expected verdict.
        before_producers: how many rows of samples were missed because no producer was there yet.
    """

    targets: int
    due: int
    rows: int
    missing: int
    duplicates: int
    as_expected: int
    before_producers: int
    misjudged: list[dict[str, Any]]

    @property
    def right(self) -> bool:
        """Whether every due slot has exactly one row, and every check of a sample has the expected verdict."""
        return not (self.missing or self.duplicates or self.misjudged)


def compare(windows: Sequence[Window], rows: Iterable[Row], samples: Mapping[int, SampleWebsite]) -> Comparison:
    """Compare the rows with the slots of the windows, and the verdicts on samples with the expected ones.

    A row outside the windows is neither due nor missing; only a wrong verdict of it is told.

    Args:
        samples: the sample websites by their target's id.
    """
    due = {key for window in windows for key in window.slots()}
    ordered = sorted(rows, key=_key)
    found = Counter(map(_key, ordered))
    within = [key for key in found if key in due]
    judged, before, misjudged = 0, 0, []
    for target_id, sample in samples.items():
        # What was due before the producers came says nothing of the sample.
        every = [row for row in ordered if row.target_id == target_id]
        its = list(itertools.dropwhile(_missed, every))
        before += sum(_key(row) in due for row in every[: len(every) - len(its)])
        for row, expected in _expectations(its, sample):
            if row.reason == expected and (row.status == "up") == (expected is None):
                judged += _key(row) in due
            else:
                misjudged.append(_misjudgement(row, expected, sample))
    return Comparison(
        targets=len(windows),
        due=len(due),
        rows=sum(found[key] for key in within),
        missing=len(due) - len(within),
        duplicates=sum(count - 1 for count in found.values()),
        as_expected=judged,
        before_producers=before,
        misjudged=misjudged,
    )


def _key(row: Row) -> tuple[int, dt.datetime]:
    return row.target_id, row.scheduled_at


def _missed(row: Row) -> bool:
    return row.reason == Reason.MISSED_WINDOW


def _expectations(rows: list[Row], sample: SampleWebsite) -> list[tuple[Row, Reason | None]]:
    if isinstance(sample.expected, list):
        expected = [*sample.expected, *[None] * (len(rows) - len(sample.expected))]
        return list(zip(rows, expected, strict=False))
    return [(row, sample.expected) for row in rows]


def _misjudgement(row: Row, expected: Reason | None, sample: SampleWebsite) -> dict[str, Any]:
    return {
        "website": sample.name,
        "scheduled_at": row.scheduled_at.isoformat(),
        "status": row.status,
        "reason": row.reason,
        "expected": expected or "up",
    }
