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
    """What was told of an open alert; of one that has ended, which channels are to be told of that later."""

    alert_id: str
    transition_id: str
    state: State
    step_s: int | None
    channels: tuple[str, ...]


@attrs.frozen
class Later:
    """A channel that is told of an alert later."""

    alert_id: str
    channel: str
    cause: str
    due_at: dt.datetime


@attrs.frozen
class Outgoing:
    """A message for a channel."""

    id: str
    channel: str
    content: Content
    transitions: list[str]


@attrs.define
class Plan:
    """What is to be written.

    Attributes:
        told: open alerts, as they are told now, and ended ones of which somebody is told later.
        ended: alerts of which nothing is left to tell.
        heard: alerts that were known, and channels that are told of them now, so that nothing waits for them any more.
    """

    messages: list[Outgoing] = attrs.field(factory=list)
    told: dict[str, Told] = attrs.field(factory=dict)
    ended: set[str] = attrs.field(factory=set)
    later: list[Later] = attrs.field(factory=list)
    heard: list[tuple[str, str]] = attrs.field(factory=list)


def planned(
    alerts: Iterable[Alert],
    told: dict[str, Told],
    settings: Notifications,
    group: dict[str, str],
    now: dt.datetime,
) -> Plan:
    """What a group of transitions is told as, in the order in which they were decided.

    An end is told to those channels that were told of the alert, as far as they are still in the file. A state that was
    told last is not told again, unless there is a cause to do so. What a channel is not told because of quiet hours, a
    problem or an end, it is told later.
    """
    plan = Plan()
    known = dict(told)
    outgoing: dict[tuple[str, str], list[Alert]] = {}
    later: dict[str, list[Later]] = {}
    for alert in alerts:
        before = known.get(alert.alert_id)
        routes = routed(settings, alert.labels, alert.severity, now)
        if alert.state is State.RESOLVED:
            waiting = []
            for channel in _still(settings, before):
                if channel in routes.quiet:
                    waiting.append(Later(alert.alert_id, channel, "quiet_hours", routes.quiet[channel]))
                else:
                    outgoing.setdefault((message.RECOVERY, channel), []).append(alert)
            later[alert.alert_id] = waiting
            if waiting:
                plan.told[alert.alert_id] = _told(alert, [one.channel for one in waiting])
            else:
                plan.told.pop(alert.alert_id, None)
                plan.ended.add(alert.alert_id)
            known.pop(alert.alert_id, None)
            continue
        if before and not alert.cause and (before.state, before.step_s) == (alert.state, alert.step_s):
            continue
        told_before = before.channels if before else ()
        again = (channel for channel in _still(settings, before) if channel not in routes.quiet)
        channels = tuple(dict.fromkeys((*routes.now, *again)))
        for channel in channels:
            outgoing.setdefault((message.PROBLEM, channel), []).append(alert)
        known[alert.alert_id] = plan.told[alert.alert_id] = _told(alert, (*told_before, *channels))
        plan.ended.discard(alert.alert_id)
        waits = later.setdefault(alert.alert_id, [])
        waits += [Later(alert.alert_id, channel, "quiet_hours", end) for channel, end in routes.quiet.items()]
        if before:
            plan.heard += [(alert.alert_id, channel) for channel in channels]
        else:
            due = routes.escalated.items()
            waits += [Later(alert.alert_id, channel, "escalation", at) for channel, at in due]
    plan.later = [one for waits in later.values() for one in waits]
    for (kind, channel), members in outgoing.items():
        plan.messages += written(settings, kind, channel, members, group)
    return plan


def _told(alert: Alert, channels: Iterable[str]) -> Told:
    return Told(alert.alert_id, alert.transition_id, alert.state, alert.step_s, tuple(dict.fromkeys(channels)))


def _still(settings: Notifications, before: Told | None) -> list[str]:
    """The channels that were told, without those that were taken out of the file since then."""
    return [channel for channel in before.channels if settings.channel(channel)] if before else []


def written(
    settings: Notifications,
    kind: str,
    channel: str,
    alerts: Sequence[Alert],
    group: dict[str, str],
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
        made.append(Outgoing(identity(kind, channel, *transitions), channel, content, transitions))
    return made
