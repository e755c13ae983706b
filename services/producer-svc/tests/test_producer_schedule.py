"""The schedule against the definition of slots: whatever comes and goes, each due slot is taken once."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring_core.schedule import slots_between
from monitoring_core.testing.builders import make_target
from monitoring_core.testing.clock import FakeClock
from producer_svc.check import Check
from producer_svc.schedule import Schedule
from producer_svc.waiting import WaitingChecks

if TYPE_CHECKING:
    import pytest

    from monitoring_core.targets import Target

INTERVALS = (1, 2, 7, 10)


# Not st.dictionaries: Hypothesis takes longer to draw one than the schedule to run it.
targets_by_interval = st.tuples(*[st.sampled_from((None, *INTERVALS))] * 12).map(
    lambda intervals: {i: interval for i, interval in enumerate(intervals, start=1) if interval}
)
changes = st.lists(
    st.tuples(
        targets_by_interval,  # from now on
        st.integers(0, 15_000),  # how far the new ones look back, milliseconds
        st.integers(0, 25_000),  # how long until the next change
    ),
    min_size=1,
    max_size=8,
)


@cache
def target(target_id: int, interval_s: int) -> Target:
    return make_target(id=target_id, interval_s=interval_s)


def popped(schedule: Schedule, at_most: int = 1_000_000) -> list[Check]:
    found: list[Check] = []
    while schedule.seconds_to_next == 0 and len(found) < at_most:
        found += schedule.pop_due(7)
    return found


@settings(max_examples=200, deadline=None)
@given(changes)
def test_every_due_slot_is_taken_once_in_order_but_for_late_ones(steps: list[tuple[dict[int, int], int, int]]) -> None:
    """Targets that are added, removed, changed or handed over with a past."""
    clock = FakeClock()
    schedule = Schedule(clock)
    present: dict[int, int] = {}
    since: dict[int, int] = {}
    for targets, back_ms, wait_ms in steps:
        now_ms = clock.now_ms()
        new = {i: interval for i, interval in targets.items() if present.get(i) != interval}
        since |= dict.fromkeys(new, now_ms + 1 - back_ms)
        added = [(target(i, interval), since[i]) for i, interval in targets.items()]
        schedule.change(added, present.keys() - targets.keys())
        # Slots of known targets were popped up to now.
        begin = {i: since[i] if i in new else now_ms + 1 for i in targets}
        present = dict(targets)
        clock.advance(wait_ms / 1000)
        checks = popped(schedule)
        expected = {
            (slot, i)
            for i, interval in present.items()
            for slot in slots_between(i, interval, begin[i], clock.now_ms() + 1)
        }
        found = [(check.scheduled_ms, check.target.id) for check in checks]
        assert sorted(found) == sorted(expected)
        # Those of the wheels in order, then the late ones in order.
        assert sum(earlier > later for (earlier, _), (later, _) in pairwise(found)) <= 1
        assert len(schedule) == len(present)


@settings(max_examples=200, deadline=None)
@given(changes, st.integers(0, 20))
def test_what_is_due_is_taken_though_targets_change_before(
    steps: list[tuple[dict[int, int], int, int]], at_most: int
) -> None:
    """A slot that was due before its target left or changed is popped once, too; none from before it was added is."""
    clock = FakeClock()
    schedule = Schedule(clock)
    present: dict[int, tuple[int, int]] = {}  # interval, and since when
    expected: Counter[tuple[int, int]] = Counter()
    found: list[Check] = []

    def leave(target_id: int) -> None:
        interval, since = present.pop(target_id)
        expected.update((slot, target_id) for slot in slots_between(target_id, interval, since, clock.now_ms() + 1))

    for targets, back_ms, wait_ms in steps:
        since_ms = clock.now_ms() + 1 - back_ms
        gone = present.keys() - targets.keys()
        schedule.change([(target(i, s), since_ms) for i, s in targets.items()], gone)
        for target_id in [i for i, (interval, _) in present.items() if targets.get(i) != interval]:
            leave(target_id)
        present = {i: (interval, since_ms) for i, interval in targets.items()} | present
        clock.advance(wait_ms / 1000)
        found += popped(schedule, at_most)
    found += popped(schedule)
    for target_id in list(present):
        leave(target_id)
    assert Counter((check.scheduled_ms, check.target.id) for check in found) == expected


def test_many_targets_go_at_once_though_many_slots_are_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The late slots are looked through once, not once for each target: for minutes the loop would not beat."""
    clock = FakeClock()
    schedule = Schedule(clock)
    now_ms = clock.now_ms()
    added = [(make_target(id=i, interval_s=10), now_ms - 60_000) for i in range(1, 20_001)]
    schedule.change([*added, (make_target(id=20_001, interval_s=10), now_ms)], ())
    heaps: list[int] = []
    monkeypatch.setattr("producer_svc.schedule.heapq.heapify", lambda heap: heaps.append(len(heap)))
    schedule.change((), range(1, 4_001))
    assert len(heaps) == 2  # the late slots, and the wheels
    assert len(schedule) == 16_001


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_waiting_checks_start_once_each_in_order_and_within_the_bound_of_their_host(
    steps: list[tuple[str, bool]],
) -> None:
    """This holds for any order in which checks come and end."""
    clock = FakeClock()
    waiting = WaitingChecks(2, clock)
    schedule = Schedule(clock)
    running: list[Check] = []
    started: list[Check] = []
    for number, (host, end) in enumerate(steps, start=1):
        schedule.change([(make_target(id=number, url=f"http://{host}.example/", interval_s=1), clock.now_ms())], ())
        clock.advance(1)
        for check in schedule.pop_due(1_000):
            waiting.add(check)
        schedule.change([], [number])
        while check_ := waiting.pop():
            running.append(check_)
            started.append(check_)
        hosts = [check.target.host for check in running]
        assert all(hosts.count(name) <= 2 for name in hosts)
        if end and running:
            check = running.pop(0)
            waiting.done(check.target.id, check.scheduled_ms)
    while running:
        check = running.pop(0)
        waiting.done(check.target.id, check.scheduled_ms)
        while check_ := waiting.pop():
            running.append(check_)
            started.append(check_)
    assert len(waiting) == 0
    assert len({(check.target.id, check.scheduled_ms) for check in started}) == len(started)
    for name in "abc":
        of_host = [check.scheduled_ms for check in started if check.target.host == f"{name}.example"]
        assert of_host == sorted(of_host)


def test_a_missed_check_does_not_change_the_order_of_the_others_of_its_host() -> None:
    """The check that is due first starts first."""
    clock = FakeClock()
    schedule = Schedule(clock)
    waiting = WaitingChecks(1, clock)
    intervals = {1: 60, 2: 60, 3: 60, 4: 1}
    since_ms = clock.now_ms()
    schedule.change([(make_target(id=i, interval_s=s), since_ms) for i, s in intervals.items()], ())
    clock.advance(61)
    checks = {check.target.id: check for check in popped(schedule)}
    for number in (1, 2, 3):
        waiting.add(checks[number])
    running = waiting.pop()
    assert running is not None
    assert waiting.pop() is None
    waiting.add(checks[4])
    assert [check.target.id for check in waiting.pop_missed(checks[4].window_end_ms)] == [4]
    assert waiting.pop() is None
    left = sorted((check.scheduled_ms, check.target.id) for i, check in checks.items() if i < 4 and check != running)
    for _, target_id in left:
        waiting.done(running.target.id, running.scheduled_ms)
        running = waiting.pop()
        assert running is not None
        assert running.target.id == target_id


def test_a_check_that_an_engine_has_before_it_is_due_counts_from_then_on() -> None:
    """Else the lead of an engine would take places of a host that nobody uses."""
    clock = FakeClock()
    waiting = WaitingChecks(2, clock)
    target, now = make_target(), clock.monotonic()
    early = [Check(target, number, now + number) for number in range(1, 6)]
    assert all(waiting.begin(check) for check in early)
    assert not waiting.begin(early[0])
    assert not waiting.add(early[4])
    assert waiting.begin(Check(target, 100, now))
    clock.advance(1)  # the first one begins, and the host has enough
    assert not waiting.begin(Check(target, 101, now))
    assert waiting.add(Check(target, 101, now))
    assert waiting.pop() is None
    waiting.done(target.id, 1)
    assert waiting.pop() is not None
    waiting.done(target.id, 2)  # ended before the loop looked at the clock again
    clock.advance(10)
    for number in (100, 101, 3, 4, 5):
        waiting.done(target.id, number)
    assert waiting.begin(Check(target, 102, now))
    assert waiting.begin(Check(target, 103, now))
    assert not waiting.begin(Check(target, 104, now))
