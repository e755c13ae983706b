"""The comparison at the end finds what it is there to find."""

from __future__ import annotations

import attrs
import pytest

from local_stack.comparison import Comparison, Row, Window, compare
from local_stack.up import summary
from local_stack.websites import SampleWebsite, sample_websites
from monitoring_core.clock import from_ms
from monitoring_core.result import Reason

WINDOW = Window(7, 5, 1_000_000, 1_060_000)
ROWS = [Row(key[0], key[1], "up", None) for key in sorted(WINDOW.slots())]
FINE = {7: SampleWebsite("fine", "http://x/")}


def figures(rows: list[Row], samples: dict[int, SampleWebsite] = FINE) -> tuple[int, int, int, int, int]:
    result = compare([WINDOW], rows, samples)
    return result.due, result.rows, result.missing, result.duplicates, len(result.misjudged)


def test_twelve_slots_a_minute_and_a_row_each_is_right() -> None:
    """Nothing is found where nothing is wrong, and rows outside the window do not count."""
    outside = Row(7, from_ms(2_000_000), "up", None)
    assert figures([*ROWS, outside]) == (12, 12, 0, 0, 0)
    assert compare([WINDOW], ROWS, FINE).right


def test_slots_from_before_the_producers_came_say_nothing_of_a_sample() -> None:
    """They are missed, each with its row, and counted as what they are."""
    missed = [attrs.evolve(row, status="unknown", reason="missed_window") for row in ROWS[:2]]
    assert figures([*missed, *ROWS[2:]]) == (12, 12, 0, 0, 0)
    result = compare([WINDOW], [*missed, *ROWS[2:]], FINE)
    assert (result.as_expected, result.before_producers) == (10, 2)


def test_what_is_judged_adds_up_to_the_rows() -> None:
    """A check after the end, which a producer had begun before it was told to stop, is none of those that were due."""
    after = Row(7, from_ms(1_064_000), "up", None)
    result = compare([WINDOW], [*ROWS, after], FINE)
    assert (result.rows, result.as_expected, result.before_producers) == (12, 12, 0)
    wrong = attrs.evolve(after, status="down", reason="timeout")
    assert len(compare([WINDOW], [*ROWS, wrong], FINE).misjudged) == 1


CASES: dict[str, tuple[list[Row], tuple[int, int, int, int, int]]] = {
    "missing": (ROWS[1:], (12, 11, 1, 0, 0)),
    "double": ([*ROWS, ROWS[3]], (12, 13, 0, 1, 0)),
    "misjudged": ([attrs.evolve(ROWS[0], status="down", reason="timeout"), *ROWS[1:]], (12, 12, 0, 0, 1)),
    "missed window": (
        [ROWS[0], attrs.evolve(ROWS[1], status="unknown", reason="missed_window"), *ROWS[2:]],
        (12, 12, 0, 0, 1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_found(name: str) -> None:
    """A missing row, a double one, and a wrong verdict each show, and the run is not right."""
    rows, expected = CASES[name]
    assert figures(rows) == expected
    assert not compare([WINDOW], rows, FINE).right


def test_a_website_that_changes_is_judged_check_by_check() -> None:
    """The verdicts must follow the website's answers, in order."""
    answers: list[Reason | None] = [None, None, Reason.STATUS_MISMATCH]
    sample = {7: SampleWebsite("flapping", "http://x/", {}, answers)}
    down = attrs.evolve(ROWS[2], status="down", reason="status_mismatch")
    assert compare([WINDOW], [*ROWS[:2], down], sample).misjudged == []
    assert len(compare([WINDOW], ROWS[:3], sample).misjudged) == 1


def test_there_are_samples_for_every_reason_a_website_can_give() -> None:
    """A newcomer sees each verdict once."""
    with sample_websites() as samples:
        assert len(samples) >= 12
        seen = {sample.expected for sample in samples if not isinstance(sample.expected, list)}
    not_the_website = {Reason.MISSED_WINDOW, Reason.PROBER_ERROR, Reason.INVALID_TARGET}
    assert seen == {None, *Reason} - not_the_website


FALSE = {
    "website": "slow",
    "scheduled_at": "2026-01-01T00:00:00+00:00",
    "status": "down",
    "reason": "timeout",
    "expected": "up",
}


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Comparison(1, 1, 1, 0, 0, 0, 0, []), "1 website, 1 check due, 1 row\n0 missing, 0 double"),
        (
            Comparison(2, 1_234, 1_233, 1, 0, 1_228, 4, [FALSE]),
            (
                "2 websites, 1,234 checks due, 1,233 rows\n1 missing, 0 double\n"
                "samples: 1,228 judged as expected, 1 misjudged, 4 due before the producers came\n"
                "misjudged: slow at 2026-01-01T00:00:00+00:00:\n  down timeout, expected up"
            ),
        ),
    ],
)
def test_the_summary_counts_in_words(result: Comparison, said: str) -> None:
    """One is singular; samples are told of only where there are any; every line fits 80 columns."""
    assert summary(result) == said
    assert max(map(len, said.splitlines())) <= 80
