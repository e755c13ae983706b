"""A request for each message, signed as Standard Webhooks has it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec
from standardwebhooks import Webhook

from alert_svc.notify.channel_settings import plain
from alert_svc.notify.channels.http import place, request
from alert_svc.notify.templates import rendered

if TYPE_CHECKING:
    from alert_svc.notify.channel_settings import WebhookChannel
    from alert_svc.notify.message import Message

_JSON = msgspec.json.Encoder()


class WebhookSender:
    """Sends `{type, timestamp, data}`; every repeat has the same `webhook-id` and the same body."""

    def __init__(self, channel: WebhookChannel) -> None:
        self._channel = channel

    @property
    def recipient(self) -> str:
        """Where the URL leads, without its path."""
        return place(plain(self._channel.url))

    def send(self, message: Message) -> str:
        """Send a message; returns the answer.

        Raises:
            SendError: there was no answer of 2xx.
        """
        body = self._body(message)
        now = dt.datetime.now(dt.UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self._channel.secret.reveal()).sign(message.id, now, body.decode()),
        }
        return request("POST", plain(self._channel.url), body=body, headers=headers)

    def _body(self, message: Message) -> bytes:
        words = rendered(message, self._channel)
        said = msgspec.to_builtins(message.content)
        data = {"id": message.id, "title": words.title, "text": words.text, **said, "transitions": message.transitions}
        return _JSON.encode(
            {"type": f"alert.{message.content.kind}", "timestamp": message.made_at.isoformat(), "data": data}
        )
