"""What a report makes of counts and of incidents, without a database."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dbadmin.reports.figures import Counts, Sums, figures
from dbadmin.reports.outages import Lengths, Outage, joined, lengths
from dbadmin.reports.pieces import Kind


def test_every_row_was_due() -> None:
    """More rows than slots come from an interval that the configuration had before; coverage is never above 100 %."""
    kinds = {Kind(60, 2, False): Counts(due=10, up=15, down=4, unknown=1)}
    found = figures(Sums.of(kinds), Lengths(), Fraction("0.999"))
    assert (found.due, found.absent, found.coverage) == (20, 0, 0.95)
    assert (found.downtime_minutes, found.budget_left_minutes) == (2.0, -2.0)


def test_rows_are_compared_with_the_slots_of_their_interval() -> None:
    """However its time is cut; another interval has slots of its own."""
    kinds = {
        Kind(60, 2, False): Counts(due=10, up=12),
        Kind(60, 1, True): Counts(due=10, up=7),
        Kind(300, 1, False): Counts(due=2, up=3),
    }
    found = figures(Sums.of(kinds), Lengths(), Fraction("0.999"))
    assert (found.due, found.absent) == (23, 1)


def test_a_share_is_never_rounded_up() -> None:
    """100 % means that all were up."""
    sums = Sums()
    sums.add(Kind(60, 1, False), Counts(due=3_000_001, up=3_000_000, down=1))
    assert figures(sums, Lengths(), Fraction(1)).availability == 0.999999


def test_nothing_known_has_no_figures() -> None:
    sums = Sums()
    sums.add(Kind(60, 1, False), Counts(due=5, unknown=5))
    found = figures(sums, Lengths(), Fraction("0.999"))
    assert (found.availability, found.coverage, found.budget_left_minutes, found.mttr_minutes) == (
        None,
        0.0,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("outages", "found"),
    [
        ([Outage(0, 5, True), Outage(6, 9, True)], [Outage(0, 5, True), Outage(6, 9, True)]),
        ([Outage(6, 9, True), Outage(0, 6, False)], [Outage(0, 9, True)]),
        ([Outage(0, 9, False), Outage(2, 5, True)], [Outage(0, 9, False)]),
        ([Outage(0, 9, True), Outage(2, 9, False)], [Outage(0, 9, False)]),
        ([Outage(0, 9, False), Outage(2, 9, True)], [Outage(0, 9, False)]),
    ],
)
def test_incidents_of_locations_that_overlap_are_one(outages: list[Outage], found: list[Outage]) -> None:
    """It has recovered when the part that ends last has; when two end at once, when both have."""
    assert joined(outages) == found


def test_an_incident_counts_with_what_lies_outside_of_windows() -> None:
    """And not at all when nothing does; a window within it does not make two of it."""
    outages = [Outage(0, 10, True), Outage(20, 30, True), Outage(40, 50, False)]
    assert lengths(outages, [(2, 4), (20, 31), (45, 60)]) == Lengths((8, 5), (8,))
