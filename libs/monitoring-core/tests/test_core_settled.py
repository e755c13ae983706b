"""Which dead letters are settled: what is kept in Kafka says the same when it is read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring_core.settled import MAX_METADATA_BYTES, Settled, parse_settled

OFFSETS = st.lists(st.integers(0, 60), max_size=40)


@given(st.integers(0, 60), OFFSETS, OFFSETS)
def test_what_was_added_is_settled_and_nothing_else(until: int, first: list[int], second: list[int]) -> None:
    """In whatever order, and also after it was written and read."""
    settled = Settled(until).add(first).add(second)
    assert settled == Settled(until).add([*second, *first])
    assert settled == parse_settled(settled.until, settled.metadata())
    expected = {*range(until), *first, *second}
    assert {offset for offset in range(100) if settled.has(offset)} == expected
    assert settled.count() == len([offset for offset in expected if offset >= settled.until])
    assert settled.until not in expected


@given(st.integers(0, 60), OFFSETS, st.integers(0, 100))
def test_what_has_expired_is_no_longer_counted(until: int, offsets: list[int], begin: int) -> None:
    """Offsets before the first message of the partition."""
    before = Settled(until).add(offsets)
    after = before.from_offset(begin)
    assert after.until >= begin
    assert [after.has(offset) for offset in range(begin, 120)] == [before.has(offset) for offset in range(begin, 120)]
    assert parse_settled(after.until, after.metadata()) == after


def test_what_is_kept_is_bounded() -> None:
    """Kafka refuses longer metadata; the ranges nearest to the first that is not settled are kept."""
    scattered = Settled(0).add(range(1, 9_000, 2))
    kept = scattered.bounded()
    assert MAX_METADATA_BYTES - 6 < len(kept.metadata()) <= MAX_METADATA_BYTES
    assert kept.beyond == scattered.beyond[: len(kept.beyond)]
    assert Settled(0).add(range(1, 9_000)).bounded() == Settled(0, ((1, 8_999),))


@pytest.mark.parametrize("metadata", [None, "", "of another program", "1-", "3-2", "5,2", "-4", "1,,2", "٣", "1-2-3"])
def test_metadata_of_another_kind_says_nothing(metadata: str | None) -> None:
    """Older releases committed none."""
    assert parse_settled(7, metadata) == Settled(7)
