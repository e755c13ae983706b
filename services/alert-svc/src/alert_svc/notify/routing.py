"""Which channels are told of an alert, and when."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

import attrs

from alert_svc.notify.settings import QuietHours, Weekday
from monitoring_alerting.policies import matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alert_svc.notify.message import Alert
    from alert_svc.notify.settings import Notifications, Route
    from monitoring_alerting.policies import Severity

_DAYS = list(Weekday)


@attrs.frozen
class Routed:
    """Who is told of an alert.

    Attributes:
        now: channels that are told now.
        quiet: channel -> when it may be told.
        escalated: channel -> when it is told, if nobody has acknowledged the alert by then.
    """

    now: tuple[str, ...]
    quiet: dict[str, dt.datetime]
    escalated: dict[str, dt.datetime]


def routed(settings: Notifications, labels: Mapping[str, str], severity: Severity, now: dt.datetime) -> Routed:
    """Who is told of an alert with these labels and this severity that is decided now."""
    told: dict[str, None] = {}
    quiet: dict[str, dt.datetime] = {}
    escalated: dict[str, dt.datetime] = {}
    for route in _fitting(settings, labels, severity):
        end = quiet_until(route.quiet_hours, now) if route.quiet_hours else None
        for channel in route.channels:
            if end is None:
                told[channel] = None
            else:
                quiet[channel] = min(end, quiet.get(channel, end))
        if route.escalation:
            due = (end or now) + route.escalation.after
            for channel in route.escalation.channels:
                escalated[channel] = min(due, escalated.get(channel, due))
    return Routed(
        tuple(told),
        {channel: end for channel, end in quiet.items() if channel not in told},
        {channel: due for channel, due in escalated.items() if channel not in told},
    )


def quiet_end(
    settings: Notifications, alert: Alert, channel: str, escalated: bool, now: dt.datetime
) -> dt.datetime | None:
    """Until when a channel waits that is due to be told of an alert; None if a route may tell it now.

    Args:
        escalated: whether it is told because nobody has acknowledged the alert.
    """
    ends = [
        quiet_until(route.quiet_hours, now) if route.quiet_hours else None
        for route in _fitting(settings, alert.labels, alert.severity)
        if channel in _told_by(route, escalated)
    ]
    later = [end for end in ends if end]
    return min(later) if later and len(later) == len(ends) else None


def _told_by(route: Route, escalated: bool) -> tuple[str, ...]:
    if not escalated:
        return route.channels
    return route.escalation.channels if route.escalation else ()


def _fitting(settings: Notifications, labels: Mapping[str, str], severity: Severity) -> Iterator[Route]:
    """The routes that fit an alert."""
    for route in settings.routes:
        if matches(route.match, labels) and (not route.severities or severity in route.severities):
            yield route


def quiet_until(quiet: QuietHours, now: dt.datetime) -> dt.datetime | None:
    """When the quiet hours end that it is now; None when it is not."""
    zone = zoneinfo.ZoneInfo(quiet.time_zone)
    begin, end = dt.time.fromisoformat(quiet.begin), dt.time.fromisoformat(quiet.end)
    today = now.astimezone(zone).date()
    for day in (today - dt.timedelta(days=1), today):
        if quiet.days and _DAYS[day.weekday()] not in quiet.days:
            continue
        last = day if end > begin else day + dt.timedelta(days=1)
        begins_at = dt.datetime.combine(day, begin, zone).astimezone(dt.UTC)
        ends_at = dt.datetime.combine(last, end, zone).astimezone(dt.UTC)
        if begins_at <= now < ends_at:
            return ends_at
    return None
