"""Templates of titles and texts, in a sandbox. What they are given has no markup, no mention and no further line."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import attrs
import structlog
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from alert_svc.notify import wording
from alert_svc.notify.message import PROBLEM, Alert, Content, Message, content_of
from alert_svc.notify.safe import address, line, word
from monitoring_alerting.policies import Kind, Severity
from monitoring_alerting.transition import State
from monitoring_core.clock import for_people

if TYPE_CHECKING:
    from alert_svc.notify.channel_settings import Channel

log = structlog.get_logger()
MAX_TITLE = 200
MAX_TEXT = 32_768
TITLE = "{{ '[' ~ severity | upper ~ '] ' if kind in ('problem', 'escalation') else '' }}{{ headline }}"
TEXT = """{{ headline }}
{% for alert in alerts %}
- {{ alert.headline }}, since {{ alert.since }}
  {{ alert.policy }}, {{ alert.severity }}, at {{ alert.locations | join(', ') or 'no location' }}
{%- if alert.reason %}
  {{ alert.reason }}{% if alert.error %}: {{ alert.error }}{% endif %}
{%- endif %}
{%- endfor %}
{%- if left_out %}
… and {{ left_out }} more
{%- endif %}
{% if id %}
Message {{ id }}
{% endif %}"""
_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, trim_blocks=False, keep_trailing_newline=False
)
_EXAMPLE = Alert(
    transition_id="0",
    alert_id="0",
    target_id=1,
    url="https://example.org/",
    policy="example",
    kind=Kind.DOWN,
    severity=Severity.WARNING,
    state=State.FIRING,
    before=State.SUSPECTED,
    at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    since=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    locations=["berlin"],
)


@attrs.frozen
class Rendered:
    """A message in words. The title is one line."""

    title: str
    text: str


def rendered(message: Message, channel: Channel) -> Rendered:
    """The message in the words of the channel's templates; in those of the defaults, where a template fails."""
    context = _context(message.content, message.id)
    title = _render(channel, "title", channel.title, TITLE, context)
    text = _render(channel, "text", channel.text, TEXT, context)
    return Rendered(line(title, MAX_TITLE), text.strip()[:MAX_TEXT])


def fault_of(template: str) -> str | None:
    """What is wrong with a template, or None."""
    try:
        _ENVIRONMENT.from_string(template).render(_context(content_of(PROBLEM, [_EXAMPLE], {}), "0"))
    except TemplateError as error:
        return f"is not a template: {line(str(error.message or error))}"
    except Exception as error:  # a template may do anything that the sandbox allows
        return f"is not a template: {type(error).__name__}"
    return None


def _render(channel: Channel, part: str, template: str | None, default: str, context: dict[str, Any]) -> str:
    if template is not None:
        try:
            return _ENVIRONMENT.from_string(template).render(context)
        except Exception as error:  # better the default words than no message
            log.warning("template failed", channel=channel.name, template=part, error=line(str(error)))
    return _ENVIRONMENT.from_string(default).render(context)


def _context(content: Content, message_id: str) -> dict[str, Any]:
    return {
        "id": message_id,
        "kind": content.kind,
        "severity": str(content.severity),
        "headline": wording.headline(content),
        "group": {word(name): word(value) for name, value in content.group.items()},
        "count": content.count,
        "parts": [{"kind": str(p.kind), "state": str(p.state), "count": p.count} for p in content.parts],
        "alerts": [_alert(alert) for alert in content.alerts],
        "left_out": content.count - len(content.alerts),
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "headline": wording.of_alert(alert),
        "transition_id": alert.transition_id,
        "alert_id": alert.alert_id,
        "target_id": alert.target_id,
        "url": address(alert.url),
        "policy": word(alert.policy),
        "kind": str(alert.kind),
        "severity": str(alert.severity),
        "state": str(alert.state),
        "at": for_people(alert.at),
        "since": for_people(alert.since),
        "locations": [word(location) for location in alert.locations],
        "labels": {word(name): word(value) for name, value in alert.labels.items()},
        "reason": alert.reason and alert.reason.replace("_", " "),
        "error": alert.error and word(alert.error),
        "http_status": alert.http_status,
    }
