"""What is told of results that are all known is the same, whether even stretches of them are passed over or not."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from monitoring_alerting.course import Course, Stretch, alone, lead_of
from monitoring_alerting.policies import load_policies
from monitoring_alerting.replay import key, replay
from monitoring_alerting.targets import Watched
from monitoring_alerting.testing.every_result import replay_all
from monitoring_alerting.transition import State
from monitoring_core.clock import from_ms, to_ms
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.targets import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitoring_alerting.course import Span
    from monitoring_alerting.policies import Policies
    from monitoring_alerting.transition import Transition

BEGIN = to_ms(dt.datetime(2026, 11, 1, tzinfo=dt.UTC))
HOUR = 3_600_000
INTERVAL = 300_000
SLOTS = 300
PERIOD = BEGIN, BEGIN + SLOTS * INTERVAL
LOCATIONS = ("berlin", "tokyo", "virginia")
SLOW_S = 5.0
POLICIES = {
    "down": "kind: down, locations: {at_least: 2}",
    "named": "kind: down, failures: {at_least: 1, of_last: 2}, locations: {at_least: 2, of: [berlin, tokyo, oslo]}",
    "blind late": "kind: down, blind_after: 2h, recovery: {slots: 5}, flapping: {changes: 2, within: 6h}",
    "slow": "kind: degraded, response_time: 5s",
    "certificate": "kind: certificate_expires_within",
    "one is enough": "kind: down, locations: {at_least: 1}, blind_after: 10m",
    "missed": "kind: missed",
    "invalid": "kind: invalid_target",
    "behind": "kind: down, depends_on: {target: 1}, match: {behind: 'yes'}",
}


class Kept:
    """Results in memory, and how many of them were asked for."""

    def __init__(self, results: Sequence[CheckResult]) -> None:
        self.all = sorted(results, key=key)
        self.asked = 0

    def of(self, target_id: int, spans: Sequence[Span]) -> Iterator[CheckResult]:
        for one in self.all:
            due = to_ms(one.scheduled_at)
            if one.target_id == target_id and any(begin <= due < end for begin, end in spans):
                self.asked += 1
                yield one


def stretch(target: Watched, location: str, results: Sequence[CheckResult]) -> Stretch:
    """What the database would say of the results of an hour."""
    due = [to_ms(one.scheduled_at) for one in results]
    finished = [key(one)[0] for one in results]
    bad = [
        to_ms(one.scheduled_at)
        for one in results
        if one.status is not Status.UP or one.response_time_s is None or one.response_time_s > SLOW_S
    ]
    ends = [to_ms(one.certificate_expires_at) for one in results if one.certificate_expires_at]
    return Stretch(
        location=location,
        first=min(due),
        last=max(due),
        count=len(due),
        even=all(
            (one - target.phase) % target.interval == 0 and one <= end < one + target.interval
            for one, end in zip(due, finished, strict=True)
        ),
        earliest=min(finished),
        latest=max(finished),
        bad=(min(bad), max(bad)) if bad else None,
        ends=(min(ends), max(ends)) if ends else None,
        all_ends=len(ends) in (0, len(due)),
    )


def spans_of(targets: Sequence[Watched], results: Sequence[CheckResult], policies: Policies) -> dict[int, list[Span]]:
    """Found hour by hour, in two parts that are joined."""
    middle = (PERIOD[0] + PERIOD[1]) // 2 // HOUR * HOUR
    found = {}
    _, parents = alone(policies, targets)
    for target in targets:
        courses = [Course(), Course()]
        mine = sorted(
            (to_ms(one.scheduled_at) // HOUR, one.location, one.scheduled_at, one)
            for one in results
            if one.target_id == target.id
        )
        for (hour, location), group in groupby(mine, key=lambda one: one[:2]):
            part = stretch(target, location, [one for *_, one in group])
            courses[hour * HOUR >= middle].add(target, part)
        courses[0].join(target, courses[1])
        found[target.id] = [PERIOD] if target.id in parents else courses[0].spans(target, lead_of(policies), *PERIOD)
    return found


def told(policies: Policies, targets: Sequence[Watched], kept: Kept) -> list[Transition]:
    """What the replay tells of each group of targets."""
    spans = spans_of(targets, kept.all, policies)
    groups, _ = alone(policies, targets)
    return [
        one for group in groups for one in replay(policies, [attrs.evolve(one) for one in group], spans, kept, PERIOD)
    ]


def even(targets: Sequence[Watched], places: dict[int, Sequence[str]]) -> dict[tuple[int, int, str], CheckResult]:
    """Good results of every slot, by target, number and location."""
    found = {}
    for target in targets:
        first = target.slot(BEGIN) + 1
        for number in range(SLOTS - 1):
            due = target.moment(first + number)
            for at, location in enumerate(places[target.id]):
                found[target.id, number, location] = CheckResult(
                    target_id=target.id,
                    scheduled_at=from_ms(due),
                    finished_at=from_ms(due + 1_000 * (at + 1)),
                    certificate_expires_at=from_ms(BEGIN + 14 * 24 * HOUR + HOUR * 7),
                    location=location,
                    producer_id=1,
                    status=Status.UP,
                    response_time_s=0.2,
                )
    return found


def changed(one: CheckResult, what: str) -> CheckResult | None:
    """A result as something made it."""
    match what:
        case "gone":
            return None
        case "down":
            return replace(one, status=Status.DOWN, reason=Reason.TIMEOUT)
        case "unknown":
            return replace(one, status=Status.UNKNOWN, reason=Reason.PROBER_ERROR, finished_at=None)
        case "invalid":
            return replace(one, status=Status.UNKNOWN, reason=Reason.INVALID_TARGET)
        case "slow":
            return replace(one, response_time_s=9.0)
        case "late":
            return replace(one, finished_at=(one.finished_at or one.scheduled_at) + dt.timedelta(hours=3))
        case "off":
            return replace(one, scheduled_at=one.scheduled_at + dt.timedelta(seconds=77))
        case "renewed":
            return replace(one, certificate_expires_at=from_ms(BEGIN + 80 * 24 * HOUR))
        case "ends sooner":
            return replace(one, certificate_expires_at=from_ms(BEGIN + 24 * HOUR + 1_000))
    return replace(one, certificate_expires_at=None)


KINDS = ("gone", "down", "down", "unknown", "invalid", "slow", "late", "off", "renewed", "ends sooner", "none")
events = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.sampled_from([*LOCATIONS, "all"]),
        st.integers(0, SLOTS - 2),
        st.sampled_from([1, 1, 2, 3, 5, 40, SLOTS]),
        st.sampled_from(KINDS),
    ),
    max_size=6,
)


def the_results(
    targets: Sequence[Watched], places: dict[int, Sequence[str]], happened: Sequence[tuple[int, str, int, int, str]]
) -> list[CheckResult]:
    kept = even(targets, places)
    for target_id, location, begin, length, what in happened:
        for number in range(begin, begin + length):
            for name in LOCATIONS if location == "all" else [location]:
                if one := kept.pop((target_id, number, name), None):
                    new = changed(one, what)
                    if new:
                        kept[target_id, number, name] = new
    return list(kept.values())


@pytest.fixture(scope="module")
def policies_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Policies]:
    folder: Path = tmp_path_factory.mktemp("policies")
    found = {}
    for name, rest in POLICIES.items():
        file = folder / f"{name}.yaml"
        file.write_text(f"policies:\n  - {{name: one, {rest}}}\n")
        found[name] = load_policies(file)
    file = folder / "all.yaml"
    wanted = ("down", "slow", "certificate", "missed", "invalid", "behind")
    file.write_text("policies:\n" + "".join(f"  - {{name: {name}, {POLICIES[name]}}}\n" for name in wanted))
    return found | {"all": load_policies(file)}


def targets_of() -> list[Watched]:
    records = [
        {"id": 1, "url": "https://1/", "check_interval_s": 300},
        {"id": 2, "url": "https://2/", "check_interval_s": 300, "labels": {"behind": "yes"}},
    ]
    found = [Watched.of(TargetRecord.parse(one), 60) for one in records]
    return [one for one in found if one]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([*POLICIES, "all"]),
    st.lists(st.sampled_from(LOCATIONS), min_size=1, max_size=3, unique=True),
    events,
)
@example("missed", ["berlin"], [(1, "berlin", 100, 1, "gone"), (1, "berlin", 106, 1, "gone")])
@example("down", ["berlin", "tokyo"], [(1, "tokyo", 60, SLOTS, "gone")])
@example("named", ["berlin", "tokyo", "virginia"], [(1, "tokyo", 60, 40, "gone"), (2, "all", 50, 1, "down")])
@example("down", ["berlin", "tokyo"], [(1, "berlin", 0, SLOTS, "late")])
@example("one is enough", ["berlin", "tokyo"], [(1, "tokyo", 100, 1, "down"), (1, "tokyo", 101, 5, "gone")])
@example("certificate", ["berlin"], [(1, "berlin", 100, SLOTS, "ends sooner")])
def test_the_same_is_told_as_if_each_result_had_been_taken(
    policies_of: dict[str, Policies], name: str, places: list[str], happened: list[tuple[int, str, int, int, str]]
) -> None:
    """Whatever the results are: every transition, with its evidence and the moment at which it was decided."""
    policies, targets = policies_of[name], targets_of()
    kept = Kept(the_results(targets, dict.fromkeys((1, 2), places), happened))
    expected = defaultdict(list)
    for one in replay_all(policies, [attrs.evolve(one) for one in targets], kept.all, PERIOD):
        expected[one.target_id].append(one)
    found = defaultdict(list)
    for one in told(policies, targets, kept):
        found[one.target_id].append(one)
    assert found == expected


def test_few_results_are_looked_at(policies_of: dict[str, Policies]) -> None:
    """Of a target that was down once, those beside that."""
    targets = targets_of()
    kept = Kept(the_results(targets, {1: ["berlin"], 2: ["berlin"]}, [(1, "berlin", 150, 1, "down")]))
    assert told(policies_of["blind late"], targets, kept)
    assert kept.asked < len(kept.all) / 4


def test_while_openings_and_closings_are_counted_few_results_are_looked_at(policies_of: dict[str, Policies]) -> None:
    """For six hours after an alert, which is 72 slots, nothing else is remembered of it."""
    targets = targets_of()
    happened = [(1, "berlin", 60, 10, "down"), (1, "berlin", 95, 10, "down"), (1, "berlin", 200, 10, "down")]
    kept = Kept(the_results(targets, {1: ["berlin"], 2: ["berlin"]}, happened))
    states = [one.state for one in told(policies_of["blind late"], targets, kept)]
    assert states.count(State.FLAPPING) == 1
    assert kept.asked < len(kept.all) / 3
