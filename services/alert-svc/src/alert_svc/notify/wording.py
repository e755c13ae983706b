"""Messages in words: what their headline says."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from alert_svc.notify import message
from alert_svc.notify.safe import address, word
from monitoring_alerting.policies import Kind
from monitoring_alerting.transition import State
from monitoring_core.config.values import format_duration

if TYPE_CHECKING:
    from alert_svc.notify.message import Alert, Content, Part

# Of one website, and of many: {} is its URL or their number.
_FIRING = {
    Kind.DOWN: ("{} is down", "{} websites are down"),
    Kind.DEGRADED: ("{} is slow", "{} websites are slow"),
    Kind.CERTIFICATE: ("the certificate of {} ends soon", "the certificates of {} websites end soon"),
    Kind.MISSED: ("{} was checked too seldom", "{} websites were checked too seldom"),
    Kind.INVALID_TARGET: ("{} cannot be checked as it stands", "{} targets cannot be checked as they stand"),
}
_RESOLVED = {
    Kind.DOWN: ("{} is up again", "{} websites are up again"),
    Kind.DEGRADED: ("{} is fast again", "{} websites are fast again"),
    Kind.CERTIFICATE: ("{} has a certificate that lasts", "{} websites have certificates that last"),
    Kind.MISSED: ("{} is checked often enough again", "{} websites are checked often enough again"),
    Kind.INVALID_TARGET: ("{} can be checked again", "{} targets can be checked again"),
}
_UNDETERMINED = ("it is not known whether {} is up", "it is not known whether {} websites are up")
_FLAPPING = ("{} goes up and down", "{} websites go up and down")
_ENDED = "the alert about {} has ended: {}"


def headline(content: Content) -> str:
    """What a message says in one line."""
    if content.note or not content.parts:
        return word(content.note)
    if content.count == 1 and content.alerts:
        said = of_alert(content.alerts[0])
    else:
        said = ", ".join(_of_part(part) for part in content.parts)
    group = ", ".join(f"{word(name)}={word(value)}" for name, value in content.group.items())
    prefix = "nobody has acknowledged: " if content.kind == message.ESCALATION else ""
    return f"{prefix}{said}{f' ({group})' if group else ''}"


def of_alert(alert: Alert) -> str:
    """What an alert says, without an end of the sentence."""
    url = address(alert.url)
    if alert.state is State.RESOLVED and alert.before is not State.RESOLVED and alert.cause:
        return _ENDED.format(url, word(alert.cause))
    if alert.kind is Kind.CERTIFICATE and alert.state is State.FIRING and alert.step_s:
        days, rest = divmod(alert.step_s, 86_400)
        time = f"{days} {'day' if days == 1 else 'days'}" if not rest else _duration(alert.step_s)
        return f"the certificate of {url} ends within {time}"
    return _words(alert.kind, alert.state)[0].format(url)


def _duration(seconds: int) -> str:
    return format_duration(dt.timedelta(seconds=seconds))


def _of_part(part: Part) -> str:
    one, many = _words(part.kind, part.state)
    return many.format(f"{part.count:,}") if part.count > 1 else one.format("1 website")


def _words(kind: Kind, state: State) -> tuple[str, str]:
    match state:
        case State.UNDETERMINED:
            return _UNDETERMINED
        case State.FLAPPING:
            return _FLAPPING
        case State.RESOLVED:
            return _RESOLVED[kind]
    return _FIRING[kind]
