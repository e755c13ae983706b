"""The command line of the producer."""

from __future__ import annotations

import click

from monitoring_core.config import Role
from monitoring_runtime.commands import MonitoringGroup, check_config
from producer_svc import __version__
from producer_svc.commands.probe import probe
from producer_svc.commands.run import run


@click.group(cls=MonitoringGroup, role=Role.PRODUCER)
@click.version_option(__version__, prog_name="producer-svc")
def main() -> None:
    """Check websites when they are due and write each result to Kafka."""


for command in (run, probe, check_config):
    main.add_command(command)
