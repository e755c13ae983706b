"""`alert-svc check-config`: whether the policies can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alert_svc.commands.options import policies_option
from alert_svc.notify.load import load_alerts
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from pathlib import Path


@click.command("check-config", epilog=examples("alert-svc check-config --policies alerts.yaml"))
@policies_option
def check_config(policies: Path) -> None:
    """Check policies, channels and routes, and connect nowhere. Status 2 and one line a fault if they are not valid."""
    alerts = load_alerts(policies)
    click.echo(f"The policies are valid: {', '.join(policy.name for policy in alerts.policies.all)}.")
    if channels := alerts.notifications.channels:
        click.echo(f"The channels are valid: {', '.join(channel.name for channel in channels)}.")
