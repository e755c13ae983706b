"""The command line of status-svc: where each command is, in the order in which they are listed."""

from __future__ import annotations

import click

from monitoring_runtime.groups import MonitoringGroup, examples
from status_svc import __version__

COMMANDS = {
    "run": "status_svc.commands.run:run",
    "export": "status_svc.commands.export:export",
    "check-config": "status_svc.commands.check_config:check_config",
}


@click.group(
    cls=MonitoringGroup,
    lazy=COMMANDS,
    role="status",
    epilog=examples("status-svc run --config config.yaml", "status-svc run --set status.port=8081"),
)
@click.version_option(__version__, prog_name="status-svc")
def main() -> None:
    """Show the status of websites over HTTP: metrics, an API and pages."""
