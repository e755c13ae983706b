"""A clock that is wrong at one location, among many targets: the others are decided as if it were not there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest

from monitoring_alerting.decider import Decider
from monitoring_alerting.policies import Policies
from monitoring_alerting.testing.matrix import FIRES
from monitoring_alerting.testing.scenes import MINUTE_MS, START, Scene, decide, loud, result, target
from monitoring_core.clock import from_ms, to_ms
from monitoring_core.result import CheckResult, Reason, Status

THREE = ("berlin", "tokyo", "virginia")
POLICIES = Policies((Scene("", {}, (), False, of=THREE).policy(),))
TARGETS = [target(number) for number in range(1, 4)] + [target(9, check_interval_s=3_600)]
# What each location sends at once.
BATCH_S = 10
HOUR_S, YEAR_S = 3_600, 365 * 86_400

Wrong = Callable[[int], int]
WRONG: dict[str, Wrong] = {
    "an hour ahead from a moment on": lambda second: HOUR_S if second >= 605 else 0,
    "an hour ahead for a minute": lambda second: HOUR_S if 605 <= second < 665 else 0,
    "a year ahead for a minute": lambda second: YEAR_S if 605 <= second < 665 else 0,
    "four minutes ahead": lambda _: 240,
    "six minutes ahead": lambda _: 360,
    "an hour ahead": lambda _: HOUR_S,
    "an hour behind from a moment on": lambda second: -HOUR_S if second >= 605 else 0,
}


def sent(wrong: Wrong) -> Iterator[CheckResult]:
    """An hour in batches; target 1 is down from the 20th minute to the 40th, and the clock of berlin is wrong."""
    made: set[tuple[int, str, dt.datetime]] = set()
    for begin in range(0, HOUR_S, BATCH_S):
        for location in THREE:
            for second in range(begin, begin + BATCH_S):
                moment = to_ms(START) + 1_000 * (second + (wrong(second) if location == "berlin" else 0))
                down = 20 * 60 <= second < 40 * 60
                for one in TARGETS:
                    due = from_ms(one.moment((moment - one.phase) // one.interval))
                    if (key := (one.id, location, due)) not in made:
                        made.add(key)
                        bad = down and one.id == 1
                        yield CheckResult(
                            target_id=one.id,
                            scheduled_at=due,
                            finished_at=due + dt.timedelta(seconds=1),
                            location=location,
                            producer_id=1,
                            status=Status.DOWN if bad else Status.UP,
                            reason=Reason.TIMEOUT if bad else None,
                        )


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_one_wrong_clock_leaves_the_others_to_decide(wrong: Wrong) -> None:
    """Whether it is wrong from the beginning or jumps amid a batch, and whatever the intervals of targets are."""
    said = decide(sent(wrong), POLICIES, TARGETS)
    assert {one.target_id for one in said} == {1}
    assert tuple(loud(said)) == FIRES
    fired = next(one for one in said if one.state == "firing")
    assert abs(to_ms(fired.at) - to_ms(START) - 22 * MINUTE_MS) <= MINUTE_MS


def test_one_result_from_a_far_future_moves_no_clock() -> None:
    """Not even where there is one location, which nobody else can contradict; after a gap it is believed soon."""
    decider = Decider(POLICIES, [target()])
    for minute in range(10):
        decider.take(result(minute, "berlin", "u"))
    before = decider.now
    decider.take(result(10, "berlin", "u").replace(finished_at=dt.datetime(2036, 2, 7, tzinfo=dt.UTC)))
    assert decider.now == before
    decider.take(result(20 * 60, "berlin", "u"))
    assert abs((decider.now or 0) - to_ms(START) - 20 * 60 * MINUTE_MS) < 2 * MINUTE_MS
    for minute in range(5):
        decider.take(result(60 * 60 + minute, "berlin", "u"))
    assert abs((decider.now or 0) - to_ms(START) - 60 * 60 * MINUTE_MS) < 6 * MINUTE_MS
