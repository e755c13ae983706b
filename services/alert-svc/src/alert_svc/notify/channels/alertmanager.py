"""Alerts for an Alertmanager, by its API version 2."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import msgspec

from alert_svc.notify import wording
from alert_svc.notify.channel_settings import plain
from alert_svc.notify.channels.http import place, request
from alert_svc.notify.message import Message, content_of
from alert_svc.notify.safe import line, word
from alert_svc.notify.templates import rendered
from monitoring_alerting.transition import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alert_svc.notify.channel_settings import AlertmanagerChannel
    from alert_svc.notify.message import Alert

# An open alert ends by itself when it has not been sent again for so many times.
_RESENDS = 4
_JSON = msgspec.json.Encoder()
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")
_MAX_LABEL = 1_000


class AlertmanagerSender:
    """Posts alerts. The same alert has the same labels in every state, by which an Alertmanager knows it."""

    def __init__(self, channel: AlertmanagerChannel) -> None:
        self._channel = channel

    @property
    def recipient(self) -> str:
        """Where the URL leads, without its path."""
        return place(plain(self._channel.url))

    def send(self, message: Message) -> str:
        """Send the alerts of a message; a message without alerts is an alert by itself. Returns the answer.

        Raises:
            SendError: there was no answer of 2xx.
        """
        if not message.content.alerts:
            return self._post([self._of_message(message)])
        return self._post([self._of_alert(alert) for alert in message.content.alerts])

    def resend(self, alerts: Iterable[Alert], watchdog: bool) -> str:
        """Send open alerts again, and the Watchdog if it is to fire. Returns the answer.

        Raises:
            SendError: there was no answer of 2xx.
        """
        posted = [self._of_alert(alert) for alert in alerts]
        if watchdog:
            text = (
                "Results come, and notifications are sent. This alert always fires; what is wrong is that it does not."
            )
            posted.append(self._open({"alertname": "Watchdog", "severity": "none"}, {"summary": text}, None))
        return self._post(posted) if posted else "nothing to send"

    def _post(self, alerts: list[dict[str, object]]) -> str:
        login = None
        if self._channel.user is not None and self._channel.password is not None:
            login = self._channel.user, self._channel.password.reveal()
        return request(
            "POST",
            f"{plain(self._channel.url).rstrip('/')}/api/v2/alerts",
            body=_JSON.encode(alerts),
            headers={"Content-Type": "application/json"},
            login=login,
        )

    def _of_alert(self, alert: Alert) -> dict[str, object]:
        labels = {f"label_{_NOT_IN_NAMES.sub('_', name)}": line(text) for name, text in alert.labels.items() if text}
        labels |= {
            "alertname": alert.policy,
            "kind": str(alert.kind),
            "severity": str(alert.severity),
            "target_id": str(alert.target_id),
            "url": line(alert.url, _MAX_LABEL),
        }
        words = rendered(Message(alert.alert_id, alert.at, content_of("problem", [alert], {})), self._channel)
        annotations = {
            "summary": wording.of_alert(alert),
            "description": words.text,
            "alert_id": alert.alert_id,
            "state": str(alert.state),
            "locations": ", ".join(map(word, alert.locations)),
        }
        if alert.state is State.RESOLVED:
            ended = {"startsAt": alert.since.isoformat(), "endsAt": max(alert.at, alert.since).isoformat()}
            return {"labels": labels, "annotations": annotations, **ended}
        return self._open(labels, annotations, alert.since)

    def _of_message(self, message: Message) -> dict[str, object]:
        labels = {"alertname": f"monitoring_{message.content.kind}", "severity": str(message.content.severity)}
        return self._open(labels, {"summary": wording.headline(message.content)}, message.made_at)

    def _open(
        self, labels: dict[str, str], annotations: dict[str, str], since: dt.datetime | None
    ) -> dict[str, object]:
        now = dt.datetime.now(dt.UTC)
        times = {"endsAt": (now + _RESENDS * self._channel.resend).isoformat()}
        # Without a begin, the Alertmanager takes the moment at which it first heard of it.
        if since is not None:
            times["startsAt"] = min(since, now).isoformat()
        return {"labels": labels, "annotations": annotations, **times}
