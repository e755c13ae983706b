"""Slots are counted without going through them, and shares are never too large."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from monitoring_core.due import milliseconds, share, slot_count
from monitoring_core.schedule import slots_between


@given(st.integers(1, 2**63 - 1), st.integers(1, 86_400), st.integers(0, 2**41), st.integers(-5_000, 3_000_000))
def test_slots_are_counted_as_they_come(target_id: int, interval_s: int, start_ms: int, length_ms: int) -> None:
    """Also in a time that is empty, or ends before it begins."""
    end_ms = start_ms + length_ms
    assert slot_count(target_id, interval_s, start_ms, end_ms) == len(
        list(slots_between(target_id, interval_s, start_ms, end_ms))
    )


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_a_moment_counts_from_the_millisecond_that_is_not_before_it(moment: dt.datetime) -> None:
    """The moment itself when it is a whole one."""
    at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + milliseconds(moment) * dt.timedelta(milliseconds=1)
    assert dt.timedelta(0) <= at - moment < dt.timedelta(milliseconds=1)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_share_is_rounded_down(part: int, rest: int) -> None:
    """All is 1, and nothing less is; of nothing there is no share."""
    found = share(part, part + rest)
    if part + rest == 0:
        assert found is None
    else:
        assert found is not None
        assert (found == 1) == (rest == 0)
        assert 0 <= part / (part + rest) - found < 1.1e-6
