"""`alert-svc check-config`: whether the policies can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alert_svc.commands.options import policies_option
from monitoring_alerting.policies import load_policies
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from pathlib import Path


@click.command("check-config", epilog=examples("alert-svc check-config --policies alerts.yaml"))
@policies_option
def check_config(policies: Path) -> None:
    """Check the alert policies and connect nowhere. Status 2 and one line a fault when they are not valid."""
    loaded = load_policies(policies).all
    click.echo(f"The policies are valid: {', '.join(policy.name for policy in loaded)}.")
