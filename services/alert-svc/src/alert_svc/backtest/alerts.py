"""Alerts that people would have heard of, made of transitions, and how those of two policies differ."""

from __future__ import annotations

import datetime as dt
import enum
from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

from monitoring_alerting.standing import LOUD
from monitoring_alerting.transition import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitoring_alerting.transition import Parent, Transition
    from monitoring_alerting.windows import Windows

_LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


@attrs.frozen(kw_only=True)
class Alert:
    """An alert from its first loud state to its end; one that a parent has silenced, from its first sign on.

    Attributes:
        state: the first that people would have been told.
        since: its first bad slot.
        told_at: when it would have been told, apart from how long sending takes.
        ended_at: None while it lasts.
        flapping: whether its openings and closings were held together as one.
        window: the maintenance window that held when it was told.
        parent: what was down before it.
    """

    alert_id: str
    target_id: int
    url: str
    policy: str
    kind: str
    severity: str
    state: str
    since: dt.datetime
    told_at: dt.datetime
    ended_at: dt.datetime | None
    flapping: bool = False
    window: int | None = None
    parent: Parent | None = None

    @property
    def suppressed(self) -> bool:
        """Whether nobody would have been told."""
        return self.window is not None or self.parent is not None


class Change(enum.StrEnum):
    """How an alert stands against those of other policies."""

    SAME = "same"
    SOONER = "sooner"
    LATER = "later"
    MORE = "more"


@attrs.frozen
class Difference:
    """An alert against the one of other policies.

    Attributes:
        by_s: seconds by which it comes sooner or later.
    """

    change: Change
    by_s: float = 0.0


def alerts_of(transitions: Iterable[Transition], windows: Windows) -> list[Alert]:
    """The alerts, in the order in which they would have been told."""
    by_alert: defaultdict[str, list[Transition]] = defaultdict(list)
    for one in transitions:
        by_alert[one.alert_id].append(one)
    found = [alert for way in by_alert.values() if (alert := _alert(way, windows))]
    return sorted(found, key=lambda one: (one.told_at, one.target_id, one.kind))


def differences(alerts: Sequence[Alert], others: Sequence[Alert]) -> tuple[list[Difference], list[Alert]]:
    """Each of the first against those of the others that lasted at the same time, and the others that are left.

    Alerts that nobody would have been told of have no counterpart.
    """
    by_subject: defaultdict[tuple[int, str], list[Alert]] = defaultdict(list)
    for one in others:
        if not one.suppressed:
            by_subject[one.target_id, one.kind].append(one)
    found = []
    for one in alerts:
        left = [] if one.suppressed else by_subject[one.target_id, one.kind]
        match = next((other for other in left if _meet(one, other)), None)
        if match is None:
            found.append(Difference(Change.MORE))
            continue
        left.remove(match)
        by_s = (match.told_at - one.told_at).total_seconds()
        found.append(Difference(Change.SAME if not by_s else Change.SOONER if by_s > 0 else Change.LATER, abs(by_s)))
    return found, sorted((one for left in by_subject.values() for one in left), key=lambda one: one.told_at)


def _meet(one: Alert, other: Alert) -> bool:
    return one.since <= (other.ended_at or _LAST) and other.since <= (one.ended_at or _LAST)


def _alert(way: Sequence[Transition], windows: Windows) -> Alert | None:
    loud = next((one for one in way if one.state in LOUD), None)
    first = loud or next((one for one in way if one.silenced_by), None)
    if first is None:
        return None
    end = way[-1]
    at = first.decided_at or first.at
    return Alert(
        alert_id=first.alert_id,
        target_id=first.target_id,
        url=first.url,
        policy=first.policy,
        kind=first.kind,
        severity=first.severity,
        state=first.state,
        since=first.since,
        told_at=at,
        ended_at=end.at if end.state in (State.RESOLVED, State.OK) else None,
        flapping=any(one.state is State.FLAPPING for one in way),
        window=windows.holding(first.at, first.labels) if loud else None,
        parent=None if loud else first.silenced_by,
    )
