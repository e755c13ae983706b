"""Each kind of policy, parents, flapping, late results, and policies and targets that change while an alert is open."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import attrs
import pytest

from monitoring_alerting.decider import Decider
from monitoring_alerting.policies import (
    CertificatePolicy,
    DegradedPolicy,
    DependsOn,
    DownPolicy,
    Failures,
    InvalidTargetPolicy,
    Kind,
    Locations,
    MissedPolicy,
    Policies,
    Policy,
)
from monitoring_alerting.testing.scenes import MINUTE_MS, START, decide, loud, result, target
from monitoring_alerting.transition import State
from monitoring_core.clock import to_ms
from monitoring_core.result import Status

if TYPE_CHECKING:
    from monitoring_alerting.transition import Transition
    from monitoring_core.result import CheckResult

DOWN = DownPolicy(name="down", kind=Kind.DOWN)


def run(signs: str, target_id: int = 1, start: int = 0) -> list[CheckResult]:
    return [result(start + minute, "berlin", sign, target_id) for minute, sign in enumerate(signs)]


def told(policy: Policy, results: list[CheckResult], minutes: int = 0) -> list[Transition]:
    until = START + dt.timedelta(minutes=minutes) if minutes else None
    return decide(results, Policies((policy,)), until=until)


def test_a_slow_website_is_degraded_and_recovers() -> None:
    """Three of three above the limit; a check that is down says nothing about the response time."""
    policy = DegradedPolicy(name="slow", kind=Kind.DEGRADED, response_time=dt.timedelta(seconds=2))
    times = [0.1, 3, 3, 3, 3, 0.1, 0.1, 0.1]
    results = [one.replace(response_time_s=time) for one, time in zip(run("u" * 8), times, strict=True)]
    assert list(loud(told(policy, results))) == ["firing", "resolved"]
    results[3] = run("uuud")[3]
    assert list(loud(told(policy, results))) == []


def test_a_target_that_cannot_be_checked_is_told_at_once() -> None:
    """One result is enough, and one real result ends it; other reasons of unknown say nothing."""
    policy = InvalidTargetPolicy(name="invalid", kind=Kind.INVALID_TARGET)
    results = run("u??u")
    results[2] = results[2].replace(reason="invalid_target", status=Status.UNKNOWN)
    assert list(loud(told(policy, results))) == ["firing", "resolved"]


def test_a_certificate_is_told_once_a_step() -> None:
    """Thirty days of checks are five words, and a new certificate one more."""
    policy = CertificatePolicy(name="certificate", kind=Kind.CERTIFICATE)
    end = START + dt.timedelta(days=31)
    results = [
        result(60 * hour, "berlin", "u").replace(
            certificate_expires_at=end + dt.timedelta(days=90 * (hour > 24 * 30.5))
        )
        for hour in range(24 * 31)
    ]
    said = told(policy, results)
    assert [one.step_s and one.step_s // 86_400 for one in said if one.state is State.FIRING] == [30, 14, 7, 3, 1]
    assert said[-1].state is State.RESOLVED
    assert len({one.alert_id for one in said}) == 1
    assert len(said) == 6


def test_a_certificate_is_told_although_no_result_comes() -> None:
    """What was seen last still ends."""
    policy = CertificatePolicy(name="certificate", kind=Kind.CERTIFICATE, steps=(dt.timedelta(days=1),))
    seen = result(0, "berlin", "u").replace(certificate_expires_at=START + dt.timedelta(days=2))
    assert [one.state for one in told(policy, [seen], minutes=30 * 60)] == [State.FIRING]


@pytest.mark.parametrize(("hours", "still_named"), [(26, True), (2, False)])
def test_a_location_that_is_gone_does_not_hold_to_a_certificate_that_was_replaced(
    hours: int, still_named: bool
) -> None:
    """What it saw last counts for another day, or until the policy names it no more."""
    both = CertificatePolicy(name="certificate", kind=Kind.CERTIFICATE, locations=Locations(of=("berlin", "tokyo")))
    decider = Decider(Policies((both,)), [target()])
    old, new = START + dt.timedelta(days=6), START + dt.timedelta(days=90)
    said = [
        one
        for minute in range(60 * hours)
        for location in ("berlin", "tokyo")
        if location == "berlin" or minute < 60
        for one in decider.take(
            result(minute, location, "u").replace(certificate_expires_at=old if minute < 60 else new)
        )
    ]
    if not still_named:
        decider.change(Policies((attrs.evolve(both, locations=Locations(of=("berlin",))),)), [target()])
        said += decider.take(result(60 * hours, "berlin", "u").replace(certificate_expires_at=new))
    assert [(one.state, one.locations) for one in said] == [
        (State.FIRING, ["berlin"]),
        (State.RESOLVED, ["berlin"]),
    ]


def test_a_certificate_is_told_anew_when_its_target_comes_back() -> None:
    """No transition has the id of an earlier one, by which it would be taken for a repeat and not be stored."""
    policy = CertificatePolicy(name="certificate", kind=Kind.CERTIFICATE)
    decider, end = Decider(Policies((policy,)), [target()]), START + dt.timedelta(days=6)
    said = []
    for minute in range(9):
        said += decider.take(result(minute, "berlin", "u").replace(certificate_expires_at=end))
        said += decider.change(Policies((policy,)), [] if minute == 4 else [target()])
    assert [one.state for one in said] == [State.FIRING, State.RESOLVED, State.FIRING]
    assert len({one.id for one in said}) == 3
    assert said[2].alert_id != said[0].alert_id


def test_a_step_is_told_of_each_certificate() -> None:
    """Also of one that takes the place of another and lasts hardly longer, under the same alert."""
    policy = CertificatePolicy(name="certificate", kind=Kind.CERTIFICATE)
    results = [
        result(60 * hour, "berlin", "u").replace(
            certificate_expires_at=START + dt.timedelta(days=6 if hour < 4 * 24 else 8)
        )
        for hour in range(24 * 8)
    ]
    said = told(policy, results)
    assert [one.step_s and one.step_s // 86_400 for one in said] == [7, 3, 7, 3, 1]
    assert (len({one.id for one in said}), len({one.alert_id for one in said})) == (5, 1)


def test_missed_checks_of_an_hour_are_told() -> None:
    """A tenth of an hour's slots unknown is still enough, a fifth is not; the next good hour ends it."""
    policy = MissedPolicy(name="missed", kind=Kind.MISSED)
    assert told(policy, run("u" * 54 + "?" * 6 + "u" * 60), minutes=125) == []
    said = told(policy, run("u" * 48 + "?" * 12 + "u" * 70), minutes=130)
    assert [(one.state, one.at) for one in said] == [
        (State.FIRING, START + dt.timedelta(hours=1)),
        (State.RESOLVED, START + dt.timedelta(hours=2)),
    ]


def test_two_certificates_that_are_seen_at_one_moment_are_told_as_two() -> None:
    """Behind a balancer each location may get another one; what ends first counts, whoever sees it."""
    policy = CertificatePolicy(name="certificate", kind=Kind.CERTIFICATE)
    days = {"berlin": 6, "tokyo": 5, "virginia": 2}
    results = [
        result(minute, location, "u").replace(certificate_expires_at=START + dt.timedelta(days=days[location]))
        for minute in range(3)
        for location in days
    ]
    said = told(policy, results)
    assert [one.step_s and one.step_s // 86_400 for one in said] == [7, 7, 3]
    assert len({one.id for one in said}) == 3


def test_missed_checks_are_told_as_long_as_there_are_none() -> None:
    """After a day without any, nothing is checked often enough again; a location that is gone counts no more."""
    policy = MissedPolicy(name="missed", kind=Kind.MISSED)
    decider = Decider(Policies((policy,)), [target()])
    said = [one for r in run("u" * 60) for one in decider.take(r)]
    for hour in range(2, 72):
        said += decider.advance(to_ms(START) + hour * 60 * MINUTE_MS)
    assert [(one.state, one.at) for one in said] == [(State.FIRING, START + dt.timedelta(hours=2))]
    said = [one for r in run("u" * 130, start=72 * 60) for one in decider.take(r)]
    assert [(one.state, one.at) for one in said] == [(State.RESOLVED, START + dt.timedelta(hours=73))]
    for unknown, ends in ((0, [State.RESOLVED]), (60 * 29, [])):
        tokyo = [result(minute, "tokyo", "u" if minute < 60 else "?") for minute in range(60 + unknown)]
        both = sorted([*tokyo, *run("u" * 60 * 30)], key=lambda one: one.scheduled_at)
        assert [one.state for one in told(policy, both)] == [State.FIRING, *ends]


def test_years_without_a_result_are_passed_over_at_once() -> None:
    """As after a result whose moment is in a far future."""
    policies = Policies((DOWN, MissedPolicy(name="missed", kind=Kind.MISSED)))
    decider = Decider(policies, [target()])
    said = [one for r in run("u" * 60) for one in decider.take(r)]
    began = time.monotonic()
    said += decider.advance(to_ms(dt.datetime(9999, 12, 31, tzinfo=dt.UTC)))
    assert time.monotonic() - began < 30  # minute by minute it would be hours
    assert sorted(one.state for one in said) == [State.FIRING, State.UNDETERMINED]


def test_locations_that_come_and_go_leave_their_votes_to_others() -> None:
    """As those do that are named after a machine that is replaced each day: the hundredth finds an outage, too."""
    days = 100
    signs = "u" * 70
    results = [result(day * 1440 + minute, f"pod-{day}", "u") for day in range(days) for minute in range(0, 1440, 20)]
    end = days * 1440
    results += [result(end + n, location, s) for n, s in enumerate(signs + "dddd") for location in ("new", "newer")]
    policy = attrs.evolve(DOWN, locations=Locations(at_least=2), blind_after=dt.timedelta(days=7))
    decider = Decider(Policies((policy,)), [target()])
    said = [one for r in results for one in (*decider.advance(to_ms(r.scheduled_at)), *decider.take(r))]
    assert [(one.state, sorted(one.locations)) for one in said if one.state is State.FIRING] == [
        (State.FIRING, ["new", "newer"])
    ]


def test_flapping_is_one_alert() -> None:
    """After six changes in an hour there is one word, and one when it is over."""
    said = told(DOWN, run("dddduu" * 10 + "u" * 60))
    assert [one.state for one in said].count(State.FLAPPING) == 1
    assert list(loud(said))[-2:] == ["flapping", "resolved"]
    assert len([one for one in said if one.state is State.FIRING]) == 3


def test_a_parent_that_is_down_silences_with_its_name() -> None:
    """What is behind it is told when the parent is back and it is not."""
    child = attrs.evolve(DOWN, name="child", match={"at": "berlin"}, depends_on=DependsOn(labels={"role": "gateway"}))
    targets = [target(1, labels={"role": "gateway"}), target(2, labels={"at": "berlin"})]
    signs = {1: "uuuddddduuuuuuu", 2: "uuudddddddddddd"}
    results = [one for minute in range(15) for n in (2, 1) for one in run(signs[n][minute], n, minute)]
    said = decide(results, Policies((DOWN, child)), targets)
    assert [(one.target_id, one.state) for one in said if one.state is State.FIRING] == [(1, "firing"), (2, "firing")]
    silent = [one for one in said if one.silenced_by]
    assert {(one.target_id, one.state, one.silenced_by.name) for one in silent if one.silenced_by} == {
        (2, "suspected", "https://1.example.org/")
    }
    ended = next(one for one in said if one.target_id == 1 and one.state is State.RESOLVED)
    assert said.index(ended) < next(
        number for number, one in enumerate(said) if one.target_id == 2 and one.state is State.FIRING
    )


def test_a_late_result_is_noted_and_changes_nothing() -> None:
    """An hour later it is history."""
    policy = attrs.evolve(DOWN, failures=Failures(at_least=1))
    decider = Decider(Policies((policy,)), [target()])
    said = [one for number, r in enumerate(run("u" * 60)) if number != 5 for one in decider.take(r)]
    said += decider.take(run("uuuuud")[5])
    assert said == []
    assert [note.change for note in decider.notes()] == ["with it, enough locations would have failed"]


def opened() -> Decider:
    decider = Decider(Policies((DOWN,)), [target()])
    said = [one for r in run("uddd") for one in decider.take(r)]
    assert said[-1].state is State.FIRING
    return decider


def test_a_target_that_is_deleted_while_firing_ends_its_alert() -> None:
    """And says why."""
    decider = opened()
    decider.advance(to_ms(START) + 240_000)
    (said,) = decider.change(Policies((DOWN,)), [])
    assert (said.state, said.cause) == (State.RESOLVED, "the target was deleted or deactivated")
    assert decider.take(run("uddddd")[-1]) == []


def test_a_policy_that_changes_while_firing_keeps_the_alert() -> None:
    """It ends by the new terms; under another name it ends at once, and another begins."""
    decider = opened()
    patient = attrs.evolve(DOWN, recovery=attrs.evolve(DOWN.recovery, slots=4))
    assert decider.change(Policies((patient,)), [target()]) == []
    said = [one.state for r in run("uuuu", start=4) for one in decider.take(r)]
    assert said == [State.RECOVERING, State.RESOLVED]
    (ended,) = opened().change(Policies((attrs.evolve(DOWN, name="other"),)), [target()])
    assert (ended.state, ended.cause) == (State.RESOLVED, "the policy no longer holds for the target")


def test_an_interval_that_changes_while_firing_keeps_the_alert() -> None:
    """The alert ends by results of the new slots."""
    decider = opened()
    faster = target(check_interval_s=30)
    assert decider.change(Policies((DOWN,)), [faster]) == []
    said = []
    for half in range(6):
        due = to_ms(START) + 300_000 + 30_000 * half
        moment = dt.datetime.fromtimestamp(faster.moment(faster.slot(due)) / 1000, dt.UTC)
        said += decider.take(result(0, "berlin", "u").replace(scheduled_at=moment, finished_at=moment))
    assert [one.state for one in said] == [State.RECOVERING, State.RESOLVED]


def test_a_decision_keeps_its_results() -> None:
    """Keys, reasons and evidence of every failure that was counted."""
    firing = next(one for one in told(DOWN, run("uddd")) if one.state is State.FIRING)
    assert [(one.status, one.reason) for one in firing.results] == [("down", "timeout")] * 3
    assert [one.scheduled_at for one in firing.results] == [one.scheduled_at for one in run("uddd")[:0:-1]]
    assert firing.locations == ["berlin"]


def test_a_target_without_any_result_is_undetermined() -> None:
    """What was never checked is not well."""
    results = run("u" * 20)
    said = decide(results, Policies((DOWN,)), [target(1), target(2)])
    assert [(one.target_id, one.state) for one in said] == [(2, State.UNDETERMINED)]


def test_targets_that_change_often_do_not_put_blindness_off() -> None:
    """A read of the targets every few minutes says nothing about the others."""
    decider = opened()
    told = []
    for minute in range(4, 30, 3):
        told += decider.change(Policies((DOWN,)), [target(), target(100 + minute)])
        told += decider.advance(to_ms(START) + minute * 60_000)
    assert [one.state for one in told if one.target_id == 1] == [State.UNDETERMINED]


def test_targets_that_change_keep_the_slots_of_the_others() -> None:
    """Results that were made by another rule are still due when they say so."""
    late, seen = dt.timedelta(seconds=20), target()
    decider = Decider(Policies((DOWN,)), [seen])
    for one in run("uud"):
        decider.take(one.replace(scheduled_at=one.scheduled_at + late))
    again = target()
    decider.change(Policies((DOWN,)), [again])
    assert seen.shift == again.shift == 20_000
