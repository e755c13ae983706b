"""The command line of the consumer: where each command is, in the order in which they are listed."""

from __future__ import annotations

import click

from consumer_svc import __version__
from monitoring_runtime.groups import MonitoringGroup, examples

COMMANDS = {
    "run": "consumer_svc.commands.run:run",
    "check-config": "monitoring_runtime.commands:check_config",
    "dead-letters": "consumer_svc.commands.dead_letters:dead_letters",
}


@click.group(
    cls=MonitoringGroup,
    lazy=COMMANDS,
    role="consumer",
    epilog=examples("consumer-svc run --config config.yaml", "consumer-svc dead-letters list"),
)
@click.version_option(__version__, prog_name="consumer-svc")
def main() -> None:
    """Move check results from Kafka into PostgreSQL, exactly one row each."""
