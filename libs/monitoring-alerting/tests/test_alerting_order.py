"""Any order that a partition allows ends in the same alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring_alerting.policies import Policies
from monitoring_alerting.testing.scenes import Place, Scene, decide, loud, result

if TYPE_CHECKING:
    from monitoring_core.result import CheckResult

_LOCATIONS = ("berlin", "tokyo", "virginia")
POLICIES = Policies((Scene("", {"berlin": Place("u")}, (), False, of=_LOCATIONS).policy(),))


def interleaved(data: st.DataObject, sees: dict[str, str], lead: int | None) -> list[CheckResult]:
    """The results of each location in their own order, and between locations in any order; some come twice.

    Args:
        lead: how many minutes one location may be before another; None for any number.
    """
    at = dict.fromkeys(sees, 0)
    order = []
    while left := [location for location in sees if at[location] < len(sees[location])]:
        slowest = min(at[location] for location in left)
        may = [location for location in left if lead is None or at[location] - slowest < lead]
        location = data.draw(st.sampled_from(may))
        one = result(at[location], location, sees[location][at[location]])
        order += [one] * data.draw(st.integers(1, 2))
        at[location] += 1
    return order


signs = st.text("uud?", min_size=4, max_size=16)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(st.sampled_from(["uuuuu", "dddd", "uddd", "dud", "uud"]), min_size=2, max_size=5))
def test_while_results_come_in_time_alerts_are_the_same_to_the_id(data: st.DataObject, parts: list[str]) -> None:
    """Each slot's results come before those of the next, in any order: every transition has the same id."""
    common = "".join(parts)
    sees = {
        name: "".join(data.draw(st.sampled_from([sign, sign, sign, "u", "?"])) for sign in common)
        for name in _LOCATIONS
    }
    in_order = [result(minute, name, sees[name][minute]) for minute in range(len(common)) for name in _LOCATIONS]
    told = decide(interleaved(data, sees, 1), POLICIES)
    assert [one.id for one in told] == [one.id for one in decide(in_order, POLICIES)]


@settings(max_examples=60, deadline=None)
@given(st.data(), signs, signs, signs, st.sampled_from("ud"))
def test_any_order_ends_in_the_same_state(
    data: st.DataObject, berlin: str, tokyo: str, virginia: str, end: str
) -> None:
    """However late a location's results are, once all have arrived and agree, so do the alerts."""
    sees = {"berlin": berlin, "tokyo": tokyo, "virginia": virginia}
    length = max(map(len, sees.values()))
    sees = {location: signs.ljust(length, "u") + end * 5 for location, signs in sees.items()}
    told = list(loud(decide(interleaved(data, sees, None), POLICIES)))
    assert (told[-1:] == ["firing"]) == (end == "d")


@settings(max_examples=30, deadline=None)
@given(st.data(), signs)
def test_the_same_results_give_the_same_ids(data: st.DataObject, common: str) -> None:
    """Two that read the same partition compute the same transitions, and no id comes twice."""
    order = interleaved(data, dict.fromkeys(_LOCATIONS, common), None)
    first, second = decide(order, POLICIES), decide(order, POLICIES)
    assert first == second
    assert len({one.id for one in first}) == len(first)
