"""A decider that goes on from what another one remembered decides as that one would have."""

from __future__ import annotations

import datetime as dt
import zlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring_alerting.decider import Decider
from monitoring_alerting.memory import UnknownFormatError, parts, recalled
from monitoring_alerting.policies import (
    CertificatePolicy,
    DegradedPolicy,
    DependsOn,
    DownPolicy,
    Flapping,
    InvalidTargetPolicy,
    Kind,
    Locations,
    MissedPolicy,
    Policies,
    Severity,
)
from monitoring_alerting.testing.scenes import MINUTE_MS, START, result, target
from monitoring_alerting.transition import State
from monitoring_core.clock import to_ms

if TYPE_CHECKING:
    from monitoring_core.result import CheckResult

DAY = dt.timedelta(days=1)
POLICIES = Policies(
    (
        DownPolicy(name="gateway", kind=Kind.DOWN, match={"role": "gateway"}, flapping=Flapping(changes=2)),
        DownPolicy(
            name="down",
            kind=Kind.DOWN,
            severity=Severity.CRITICAL,
            locations=Locations(at_least=2, of=("berlin", "tokyo")),
            depends_on=DependsOn(labels={"role": "gateway"}),
            blind_after=dt.timedelta(minutes=5),
        ),
        DegradedPolicy(name="slow", kind=Kind.DEGRADED, response_time=dt.timedelta(seconds=2.5)),
        CertificatePolicy(name="certificate", kind=Kind.CERTIFICATE, steps=(30 * DAY, 7 * DAY)),
        MissedPolicy(name="missed", kind=Kind.MISSED, coverage=99.5),
        InvalidTargetPolicy(name="invalid", kind=Kind.INVALID_TARGET),
    )
)
TARGETS = [target(1, labels={"role": "gateway"}), target(2, labels={"team": "shop"}), target(3)]


def again(decider: Decider) -> Decider:
    """The decider after its process was killed."""
    policies, other = recalled(list(parts(POLICIES, decider.memory)))
    assert policies == POLICIES
    return other


def seen(minute: int, location: str, sign: str, target_id: int) -> CheckResult:
    """A result with all that some policy looks at."""
    one = result(minute, location, "u" if sign in "sc" else sign, target_id)
    if sign == "s":
        return one.replace(response_time_s=3.0)
    return one.replace(certificate_expires_at=START + 7 * DAY) if sign == "c" else one


signs = st.text("uudddsc?.", min_size=3, max_size=70)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.lists(signs, min_size=6, max_size=6))
def test_whenever_it_is_recalled_it_goes_on_as_before(data: st.DataObject, sees: list[str]) -> None:
    """Every transition, its evidence and what is noted of late results."""
    results = [
        seen(minute, ("berlin", "tokyo")[number % 2], sign, 1 + number // 2)
        for minute in range(70)
        for number, text in enumerate(sees)
        if (sign := text[minute : minute + 1] or ".") != "."
    ]
    at = set(data.draw(st.lists(st.integers(0, len(results)), max_size=4)))
    one, other = Decider(POLICIES, TARGETS), Decider(POLICIES, [*TARGETS])
    for number, checked in enumerate(results):
        if number in at:
            other = again(other)
        assert other.take(checked) == one.take(checked)
    other = again(other)
    for moment in (to_ms(START) + 75 * MINUTE_MS, to_ms(START) + 140 * MINUTE_MS):
        assert other.advance(moment) == one.advance(moment)
        assert other.finish() == one.finish()
    assert other.change(POLICIES, TARGETS[:1]) == one.change(POLICIES, TARGETS[:1])


def test_many_targets_are_remembered_in_parts_of_bounded_size() -> None:
    """All of them come back."""
    decider = Decider(POLICIES, [target(number) for number in range(1, 2_502)])
    kept = list(parts(POLICIES, decider.memory))
    assert len(kept) == 1 + 3
    _, other = recalled(kept)
    assert [one.id for one, *_ in other.memory.targets] == list(range(1, 2_502))


def test_what_another_release_remembered_is_not_misread() -> None:
    """A format that is not known is refused, and said to be so."""
    with pytest.raises(UnknownFormatError):
        recalled([zlib.compress(msgspec.msgpack.encode([99, "anything"]))])


def test_what_is_in_line_to_be_woken_is_bounded() -> None:
    """Also where slots wait for results for hours, and each wake for that comes before one that is a week away."""
    policy = DownPolicy(name="down", kind=Kind.DOWN, locations=Locations(at_least=2), blind_after=7 * DAY)
    decider = Decider(Policies((policy,)), TARGETS)
    for minute in range(3_000):
        for location, sign in (("berlin", "d"), ("tokyo", "u"), ("virginia", "u")):
            for one in TARGETS:
                assert decider.take(result(minute, location, sign, one.id)) == []
    assert len(decider._wakes) <= 1_010


def test_a_slot_that_waits_is_decided_when_its_results_are_late() -> None:
    """Whatever wake there was before for its target, and however far the clock jumps then."""
    policy = DownPolicy(name="down", kind=Kind.DOWN, locations=Locations(at_least=2), blind_after=DAY)
    decider = Decider(Policies((policy,)), [target()])
    for location, signs in (("virginia", "uuuu"), ("tokyo", "uuud"), ("berlin", "uuuud")):
        assert [decider.take(result(minute, location, sign)) for minute, sign in enumerate(signs)].count([]) == len(
            signs
        )
    (told,) = decider.advance(to_ms(START) + 60 * MINUTE_MS)
    late_at = to_ms(result(4, "berlin", "d").scheduled_at) + 2 * MINUTE_MS
    assert (told.state, told.decided_at and to_ms(told.decided_at)) == (State.SUSPECTED, late_at)
