"""What a message says, as data: the same in every repeat, whatever it is sent by."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

import attrs
import msgspec
from msgspec import Struct

from monitoring_alerting.policies import Kind, Severity
from monitoring_alerting.transition import State

if TYPE_CHECKING:
    from collections.abc import Sequence

# How many alerts are listed; the others are counted.
LISTED = 50
PROBLEM, RECOVERY, ESCALATION, CHANNEL_FAILING, TEST = "problem", "recovery", "escalation", "channel_failing", "test"
_SEVERITIES = list(Severity)


class Alert(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alert, as a transition says that it is now.

    Attributes:
        url: the target's, without user name and password.
        before: the state before that; the same, when it is told again.
        at: the slot that decided the transition.
        since: when the alert began.
        reason, error, http_status: of the newest result that it rests on.
    """

    transition_id: str
    alert_id: str
    target_id: int
    url: str
    policy: str
    kind: Kind
    severity: Severity
    state: State
    before: State
    at: dt.datetime
    since: dt.datetime
    locations: list[str]
    labels: dict[str, str] = {}
    reason: str | None = None
    error: str | None = None
    http_status: int | None = None
    step_s: int | None = None
    cause: str | None = None


class Part(Struct, frozen=True, kw_only=True):
    """How many alerts of a kind are in a state."""

    kind: Kind
    state: State
    count: int


class Content(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message says.

    Attributes:
        kind: problem, recovery, escalation, channel_failing or test.
        severity: the worst of its alerts.
        group: the labels that all of them have in common, by which they were grouped.
        count: how many alerts it tells of.
        parts: the same by kind and state, the most frequent first.
        alerts: those that are listed.
        note: what a message without alerts says.
    """

    kind: str
    severity: Severity = Severity.INFO
    group: dict[str, str] = {}
    count: int = 0
    parts: list[Part] = []
    alerts: list[Alert] = []
    note: str = ""


@attrs.frozen
class Message:
    """A message on its way.

    Attributes:
        id: the same in every repeat.
        transitions: the ids of all transitions that it tells of, also of those that are not listed.
    """

    id: str
    made_at: dt.datetime
    content: Content
    transitions: tuple[str, ...] = ()


def content_of(kind: str, alerts: Sequence[Alert], group: dict[str, str], listed: int = LISTED) -> Content:
    """The content of a message about alerts, of each of which the last transition counts."""
    last = list({alert.alert_id: alert for alert in alerts}.values())
    last.sort(key=lambda alert: (-_SEVERITIES.index(alert.severity), alert.since))
    parts = Counter((alert.kind, alert.state) for alert in last)
    return Content(
        kind=kind,
        severity=max((alert.severity for alert in last), key=_SEVERITIES.index, default=Severity.INFO),
        group=group,
        count=len(last),
        parts=[Part(kind=kind, state=state, count=count) for (kind, state), count in parts.most_common()],
        alerts=last[:listed],
    )


def to_plain(content: Content) -> object:
    """The content as plain data, as it is stored."""
    return msgspec.to_builtins(content)


def from_plain(data: object) -> Content:
    """The content that was stored."""
    return msgspec.convert(data, Content)
