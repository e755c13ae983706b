"""In which order the rows of a batch are written, and which hours they are noted for."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from consumer_svc.adapters.rows import hours, in_key_order
from monitoring_core.result import CheckResult, Reason
from monitoring_core.testing.builders import make_result

AT = dt.datetime(2026, 3, 1, 12, 59, 59, 999_999, tzinfo=dt.UTC)


def result(target_id: int, unknown: bool, producer_id: int = 1) -> CheckResult:
    reason = Reason.MISSED_WINDOW if unknown else None
    return make_result(target_id=target_id, scheduled_at=AT, reason=reason, producer_id=producer_id)


@given(st.lists(st.builds(result, st.integers(1, 6), st.booleans(), st.integers(1, 3)), max_size=12))
def test_a_batch_becomes_one_row_for_each_key_in_order(results: list[CheckResult]) -> None:
    """A key's row is its first result that is not unknown; else its last one."""
    expected = {}
    for key in sorted({one.key for one in results}):
        same = [one for one in results if one.key == key]
        expected[key] = next((one for one in same if one.reason is None), same[-1])
    assert in_key_order(results) == [one.row for one in expected.values()]


def test_the_hours_of_a_batch_are_those_of_its_slots() -> None:
    """Each hour once, in UTC, whatever the zone of a slot."""
    east = dt.timezone(dt.timedelta(hours=5, minutes=30))
    one = [make_result(scheduled_at=AT).row, make_result(scheduled_at=AT.astimezone(east)).row]
    assert hours(one) == [dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)]
    several = [*one, make_result(scheduled_at=AT + dt.timedelta(microseconds=1)).row]
    assert sorted(hours(several)) == [dt.datetime(2026, 3, 1, hour, tzinfo=dt.UTC) for hour in (12, 13)]
