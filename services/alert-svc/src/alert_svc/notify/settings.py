"""The settings of notifications: routes, grouping and the heartbeat, with their defaults."""

from __future__ import annotations

import datetime as dt
import enum
import zoneinfo
from collections.abc import Iterator
from typing import Annotated

import attrs

from alert_svc.notify.channel_settings import Channel, Name, bad_url
from monitoring_alerting.policies import Severity
from monitoring_core.config.faults import Rule
from monitoring_core.config.values import Between, Matching, Secret

_SECOND = dt.timedelta(seconds=1)
_MINUTE = dt.timedelta(minutes=1)
_DAY = dt.timedelta(days=1)
_TimeOfDay = Annotated[str, Matching(r"([01][0-9]|2[0-3]):[0-5][0-9]", "a time of day like 22:00")]


class Weekday(enum.StrEnum):
    """A day of the week, in the order of datetime.weekday."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


@attrs.frozen(kw_only=True)
class QuietHours:
    """When a route tells nothing; what is still open at their end is told then.

    Attributes:
        begin, end: times of day; an end that is not after the begin is on the next day.
        days: the days on which they begin; none for every day.
    """

    begin: _TimeOfDay
    end: _TimeOfDay
    time_zone: str = "UTC"
    days: tuple[Weekday, ...] = ()


@attrs.frozen(kw_only=True)
class Escalation:
    """Whom a route tells as well when nobody has acknowledged an alert that is still open after this time.

    If that is within the route's quiet hours, or in a maintenance window, it waits until they end.
    """

    after: Annotated[dt.timedelta, Between(_MINUTE, 7 * _DAY)] = 15 * _MINUTE
    channels: tuple[Name, ...]


@attrs.frozen(kw_only=True)
class Route:
    """Which channels are told of which alerts. Every route that fits an alert counts.

    Attributes:
        match: the labels that the target must have; none of them matches every target.
        severities: those of the alert; none for every severity.
    """

    channels: tuple[Name, ...]
    match: dict[str, str] = attrs.field(factory=dict)
    severities: tuple[Severity, ...] = ()
    quiet_hours: QuietHours | None = None
    escalation: Escalation | None = None

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        if not self.channels:
            yield Rule(("channels",), "must name a channel")
        if (escalation := self.escalation) and not escalation.channels:
            yield Rule(("escalation.channels",), "must name a channel")
        for name in self.channels:
            if escalation and name in escalation.channels:
                yield Rule(("escalation.channels",), f"{name} is told by the route itself, and is not told again")
        if not (quiet := self.quiet_hours):
            return
        if quiet.begin == quiet.end:
            yield Rule(("quiet_hours.end",), "must not be the begin")
        try:
            zoneinfo.ZoneInfo(quiet.time_zone)
        except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
            yield Rule(("quiet_hours.time_zone",), "must be a time zone like Europe/Berlin")
        except KeyError:
            yield Rule(("quiet_hours.time_zone",), "must be a time zone like Europe/Berlin")


@attrs.frozen(kw_only=True)
class Grouping:
    """Which transitions are one message.

    A group is told `wait` after its first transition. If it has then grown by `burst` or more within `wait`, it is held
    until it grows more slowly, for `at_most` in all: websites that go down together are found one after another, over
    their check interval.

    Attributes:
        by: the labels by whose values transitions are told apart; none for one group.
    """

    by: tuple[str, ...] = ()
    wait: Annotated[dt.timedelta, Between(dt.timedelta(), 10 * _MINUTE)] = 2 * _SECOND
    burst: Annotated[int, Between(1, 1_000_000)] = 10
    at_most: Annotated[dt.timedelta, Between(dt.timedelta(), 60 * _MINUTE)] = 2 * _MINUTE

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        if self.at_most < self.wait:
            yield Rule(("at_most", "wait"), "must be at least wait")


@attrs.frozen(kw_only=True)
class Heartbeat:
    """A URL that is asked as long as results come and notifications are sent, so that somebody notices when not.

    Attributes:
        fresh_within: the newest result must not be older.
        sent_within: what has not been told or sent for so long counts as stuck.
    """

    url: str | Secret
    every: Annotated[dt.timedelta, Between(_SECOND, _DAY)] = _MINUTE
    fresh_within: Annotated[dt.timedelta, Between(_SECOND, _DAY)] = 5 * _MINUTE
    sent_within: Annotated[dt.timedelta, Between(_MINUTE, _DAY)] = 10 * _MINUTE

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        if bad := bad_url(self.url):
            yield Rule(("url",), bad)


@attrs.frozen(kw_only=True)
class Notifications:
    """All settings of notifications. Without a channel nothing is sent."""

    channels: tuple[Channel, ...] = ()
    routes: tuple[Route, ...] = ()
    grouping: Grouping = attrs.field(factory=Grouping)
    heartbeat: Heartbeat | None = None

    def channel(self, name: str) -> Channel | None:
        """The channel of that name."""
        return next((channel for channel in self.channels if channel.name == name), None)
