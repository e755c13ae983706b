"""The sender of each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alert_svc.notify.channel_settings import AlertmanagerChannel, AppriseChannel, SmtpChannel, WebhookChannel
from alert_svc.notify.channels.alertmanager import AlertmanagerSender
from alert_svc.notify.channels.apprise import AppriseSender
from alert_svc.notify.channels.smtp import SmtpSender
from alert_svc.notify.channels.webhook import WebhookSender

if TYPE_CHECKING:
    from alert_svc.notify.channel_settings import Channel
    from alert_svc.notify.channels.sender import Sender


def sender(channel: Channel) -> Sender:
    """The sender of a channel.

    Raises:
        StopError: what it needs is not installed, or does not know its URL.
    """
    match channel:
        case WebhookChannel():
            return WebhookSender(channel)
        case SmtpChannel():
            return SmtpSender(channel)
        case AlertmanagerChannel():
            return AlertmanagerSender(channel)
        case AppriseChannel():
            return AppriseSender(channel)
    raise AssertionError(f"no sender for {channel.type}")
