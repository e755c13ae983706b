"""The sender of each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alert_svc.notify.channels.webhook import WebhookSender
from alert_svc.notify.settings import WebhookChannel

if TYPE_CHECKING:
    from alert_svc.notify.channels.sender import Sender
    from alert_svc.notify.settings import Channel


def sender(channel: Channel) -> Sender:
    """The sender of a channel.

    Raises:
        StopError: what it needs is not installed.
    """
    match channel:
        case WebhookChannel():
            return WebhookSender(channel)
    raise AssertionError(f"no sender for {channel.type}")
