"""The command line of the producer: where each command is, in the order in which they are listed."""

from __future__ import annotations

import click

from monitoring_runtime.groups import MonitoringGroup, examples
from producer_svc import __version__

COMMANDS = {
    "run": "producer_svc.commands.run:run",
    "probe": "producer_svc.commands.probe:probe",
    "check-config": "monitoring_runtime.commands:check_config",
}


@click.group(
    cls=MonitoringGroup,
    lazy=COMMANDS,
    role="producer",
    epilog=examples(
        "producer-svc run --id 1 --config config.yaml", "producer-svc probe https://example.org --timeout 5s"
    ),
)
@click.version_option(__version__, prog_name="producer-svc")
def main() -> None:
    """Check websites when they are due and write each result to Kafka."""
