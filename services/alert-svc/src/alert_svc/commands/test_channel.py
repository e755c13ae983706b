"""`alert-svc test-channel`: a message through a channel, now."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING

import click

from alert_svc.commands.options import policies_option
from alert_svc.notify.channels.build import sender
from alert_svc.notify.channels.sender import SendError
from alert_svc.notify.load import load_alerts
from alert_svc.notify.message import TEST, Content, Message
from monitoring_core.errors import StopError
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from pathlib import Path


@click.command("test-channel", epilog=examples("alert-svc test-channel ops --policies alerts.yaml"))
@click.argument("name")
@policies_option
def test_channel(name: str, policies: Path) -> None:
    """Send a test message through the channel NAME, and print the answer. Status 1 when it was not taken."""
    settings = load_alerts(policies).notifications
    channel = settings.channel(name)
    if channel is None:
        known = ", ".join(one.name for one in settings.channels) or "none"
        raise StopError(f"{policies}: there is no channel {name}; there are {known}")
    by = sender(channel)
    note = f"This is a test of the channel {name}. Nothing is wrong."
    try:
        answer = by.send(Message(uuid.uuid4().hex, dt.datetime.now(dt.UTC), Content(kind=TEST, note=note)))
    except SendError as error:
        raise StopError(f"channel {name}: not sent: {error}") from None
    click.echo(f"Sent to {by.recipient}: {answer}")
