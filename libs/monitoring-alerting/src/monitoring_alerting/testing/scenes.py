"""Scenes: what each location sees minute by minute, and what is to be told about it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import attrs

from monitoring_alerting.decider import Decider
from monitoring_alerting.policies import DownPolicy, Failures, Locations, Policies, Recovery
from monitoring_alerting.standing import LOUD
from monitoring_alerting.targets import Watched
from monitoring_alerting.transition import State, Transition
from monitoring_core.clock import from_ms, to_ms
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.targets import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

START = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)
MINUTE_MS = 60_000
_SIGNS = {"u": None, "d": Reason.TIMEOUT, "?": Reason.PROBER_ERROR}


@attrs.frozen
class Place:
    """A location in a scene.

    Attributes:
        sees: a sign for each minute: u(p), d(own), ? (unknown), or a dot where there is no result.
        late: minutes that its results take to arrive.
        clock: minutes that its clock is ahead, or behind if negative.
        twice: whether each result arrives twice.
    """

    sees: str
    late: int = 0
    clock: int = 0
    twice: bool = False


@attrs.frozen
class Scene:
    """What happens to one target.

    Attributes:
        told: what is to be told, in order: firing, undetermined, flapping and resolved.
        down: whether the website is really down for long enough.
        of: the locations that the policy names; all that have results, if it is empty.
        runs_on: minutes that the clock runs on after the last result.
    """

    name: str
    places: dict[str, Place]
    told: tuple[str, ...]
    down: bool
    at_least: int = 2
    of: tuple[str, ...] = ()
    runs_on: int = 0

    def arrivals(self) -> list[CheckResult]:
        """The results in the order of arrival."""
        arrived = []
        for number, (location, place) in enumerate(sorted(self.places.items())):
            for minute, sign in enumerate(place.sees):
                if sign != ".":
                    one = result(minute + place.clock, location, sign)
                    arrived += [(minute + place.late, number, one)] * (2 if place.twice else 1)
        return [one for _, _, one in sorted(arrived, key=lambda entry: entry[:2])]

    def end(self) -> dt.datetime:
        """When the scene ends."""
        return START + dt.timedelta(minutes=max(len(place.sees) for place in self.places.values()) + self.runs_on)

    def policy(self) -> DownPolicy:
        """Its policy: three failures of three, at two locations; two good slots at two."""
        return DownPolicy(
            name="website-down",
            kind=DownPolicy.KIND,
            failures=Failures(at_least=3, of_last=3),
            locations=Locations(at_least=self.at_least, of=self.of),
            recovery=Recovery(slots=2, locations=self.at_least),
        )

    def decide(self) -> list[Transition]:
        """All that is told."""
        return decide(self.arrivals(), Policies((self.policy(),)), until=self.end() if self.runs_on else None)


def target(target_id: int = 1, **fields: object) -> Watched:
    """A target that is checked once a minute."""
    defaults: dict[str, object] = {"id": target_id, "url": f"https://{target_id}.example.org/", "check_interval_s": 60}
    watched = Watched.of(TargetRecord.parse(defaults | fields), 60)
    assert watched
    return watched


def result(minute: int, location: str, sign: str, target_id: int = 1) -> CheckResult:
    """The result of a target's slot in a minute of the scene."""
    one = target(target_id)
    slot = one.slot(to_ms(START) + minute * MINUTE_MS + MINUTE_MS // 2)
    scheduled_at = from_ms(one.moment(slot))
    reason = _SIGNS[sign]
    return CheckResult(
        target_id=target_id,
        scheduled_at=scheduled_at,
        finished_at=None if sign == "?" else scheduled_at + dt.timedelta(seconds=1),
        location=location,
        producer_id=1,
        status=reason.status if reason else Status.UP,
        reason=reason,
    )


def decide(
    results: Iterable[CheckResult],
    policies: Policies,
    targets: Iterable[Watched] | None = None,
    until: dt.datetime | None = None,
) -> list[Transition]:
    """All transitions of a run over results."""
    decider = Decider(policies, [target()] if targets is None else targets)
    said = [transition for one in results for transition in decider.take(one)]
    said += decider.advance(to_ms(until)) if until else []
    return said + decider.finish()


def loud(transitions: Iterable[Transition]) -> Iterator[str]:
    """What a person would be told: states that are loud, and how they end; a relapse is told once."""
    last = ""
    for transition in transitions:
        if transition.state in LOUD | {State.RESOLVED} and transition.state != last:
            last = transition.state
            yield str(transition.state)
