"""The command line of the alerts: where each command is, in the order in which they are listed."""

from __future__ import annotations

import click

from alert_svc import __version__
from monitoring_runtime.groups import MonitoringGroup, examples

COMMANDS = {
    "run": "alert_svc.commands.run:run",
    "list": "alert_svc.commands.list_alerts:list_command",
    "ack": "alert_svc.commands.ack:ack",
    "check-config": "alert_svc.commands.check_config:check_config",
    "decide": "alert_svc.commands.decide:decide",
    "backtest": "alert_svc.commands.backtest:backtest",
    "test-channel": "alert_svc.commands.test_channel:test_channel",
}


@click.group(
    cls=MonitoringGroup,
    lazy=COMMANDS,
    role="alert",
    epilog=examples(
        "alert-svc run --policies alerts.yaml",
        "alert-svc list --open",
        "alert-svc check-config --policies alerts.yaml",
        "alert-svc backtest --policies new.yaml --since 30d",
        "alert-svc decide --targets websites.csv < results.jsonl",
    ),
)
@click.version_option(__version__, prog_name="alert-svc")
def main() -> None:
    """Decide about alerts: confirmed, from several places."""
