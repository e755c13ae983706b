"""The command line of the consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumer_svc import __version__, wiring
from consumer_svc.dead_letters import dead_letters
from monitoring_core.config import Role
from monitoring_runtime.commands import MonitoringGroup, check_config, config_options

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.group(cls=MonitoringGroup, role=Role.CONSUMER)
@click.version_option(__version__, prog_name="consumer-svc")
def main() -> None:
    """Move check results from Kafka into PostgreSQL, exactly one row each."""


@main.command()
@config_options
def run(config: Config) -> None:
    """Consume until SIGTERM or Ctrl-C. A second signal ends it at once; nothing stored is lost or doubled by that."""
    wiring.run(config)


main.add_command(check_config)
main.add_command(dead_letters)
