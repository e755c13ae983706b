"""The command line of the alerts."""

from __future__ import annotations

import click

from alert_svc import __version__
from alert_svc.commands.check_config import check_config
from alert_svc.commands.decide import decide
from monitoring_runtime.commands import MonitoringGroup


@click.group(cls=MonitoringGroup)
@click.version_option(__version__, prog_name="alert-svc")
def main() -> None:
    """Decide about alerts: confirmed, from several places."""


main.add_command(check_config)
main.add_command(decide)
