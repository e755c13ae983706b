"""Which messages follow from transitions: a pure function of them, of what was told before, and of the routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from alert_svc.notify import message
from alert_svc.notify.channel_settings import ChannelType
from alert_svc.notify.routing import routed
from monitoring_alerting.transition import State, identity

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from alert_svc.notify.message import Alert, Content
    from alert_svc.notify.settings import Notifications

# What an Alertmanager is told in one request. It gets every alert, and groups them itself.
ALERTMANAGER_LISTED = 1_000


@attrs.frozen
class Told:
    """What was told of an open alert."""

    alert_id: str
    transition_id: str
    state: State
    step_s: int | None
    channels: tuple[str, ...]


@attrs.frozen
class Later:
    """A channel that is told of an open alert later."""

    alert_id: str
    channel: str
    cause: str
    due_at: dt.datetime


@attrs.frozen
class Outgoing:
    """A message for a channel, to be sent from a moment on."""

    id: str
    channel: str
    content: Content
    transitions: list[str]
    due_at: dt.datetime


@attrs.define
class Plan:
    """What is to be written.

    Attributes:
        told: open alerts, as they are told now.
        ended: alerts that are not open any more.
    """

    messages: list[Outgoing] = attrs.field(factory=list)
    told: dict[str, Told] = attrs.field(factory=dict)
    ended: set[str] = attrs.field(factory=set)
    later: list[Later] = attrs.field(factory=list)


def planned(
    alerts: Iterable[Alert],
    told: dict[str, Told],
    settings: Notifications,
    group: dict[str, str],
    now: dt.datetime,
) -> Plan:
    """What a group of transitions is told as, in the order in which they were decided.

    An end is told to those channels that were told of the alert, as far as they are still in the file. A state that was
    told last is not told again, unless there is a cause to do so.
    """
    plan = Plan()
    known = dict(told)
    outgoing: dict[tuple[str, str, dt.datetime], list[Alert]] = {}
    for alert in alerts:
        before = known.get(alert.alert_id)
        routes = routed(settings, alert.labels, alert.severity, now)
        if alert.state is State.RESOLVED:
            for channel in _still(settings, before):
                outgoing.setdefault((message.RECOVERY, channel, routes.quiet.get(channel, now)), []).append(alert)
            known.pop(alert.alert_id, None)
            plan.told.pop(alert.alert_id, None)
            plan.ended.add(alert.alert_id)
            continue
        if before and not alert.cause and (before.state, before.step_s) == (alert.state, alert.step_s):
            continue
        told_before = before.channels if before else ()
        again = (channel for channel in _still(settings, before) if channel not in routes.quiet)
        channels = tuple(dict.fromkeys((*routes.now, *again)))
        for channel in channels:
            outgoing.setdefault((message.PROBLEM, channel, now), []).append(alert)
        known[alert.alert_id] = plan.told[alert.alert_id] = Told(
            alert.alert_id,
            alert.transition_id,
            alert.state,
            alert.step_s,
            tuple(dict.fromkeys((*told_before, *channels))),
        )
        plan.ended.discard(alert.alert_id)
        plan.later += [Later(alert.alert_id, channel, "quiet_hours", end) for channel, end in routes.quiet.items()]
        if not before:
            due = routes.escalated.items()
            plan.later += [Later(alert.alert_id, channel, "escalation", at) for channel, at in due]
    plan.later = [one for one in plan.later if one.alert_id not in plan.ended]
    for (kind, channel, due_at), members in outgoing.items():
        plan.messages += written(settings, kind, channel, members, group, due_at)
    return plan


def _still(settings: Notifications, before: Told | None) -> list[str]:
    """The channels that were told, without those that were taken out of the file since then."""
    return [channel for channel in before.channels if settings.channel(channel)] if before else []


def written(
    settings: Notifications,
    kind: str,
    channel: str,
    alerts: Sequence[Alert],
    group: dict[str, str],
    due_at: dt.datetime,
) -> list[Outgoing]:
    """The message to a channel about alerts; for an Alertmanager as many as are needed to name each of them."""
    known = settings.channel(channel)
    size = ALERTMANAGER_LISTED if known and known.type is ChannelType.ALERTMANAGER else len(alerts)
    listed = size if known and known.type is ChannelType.ALERTMANAGER else message.LISTED
    made = []
    for start in range(0, len(alerts), size):
        part = alerts[start : start + size]
        transitions = [alert.transition_id for alert in part]
        content = message.content_of(kind, part, group, listed)
        made.append(Outgoing(identity(kind, channel, *transitions), channel, content, transitions, due_at))
    return made
