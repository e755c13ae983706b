"""`alert-svc run`: decide and notify until a signal comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alert_svc import wiring
from alert_svc.commands.options import policies_option
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_core.config import Config


@click.command(epilog=examples("alert-svc run --policies alerts.yaml", "alert-svc run --set metrics.port=0"))
@policies_option
@click.option(
    "--group",
    metavar="NAME",
    help="The consumer group in Kafka. [default: consumer.group_id, followed by -alerts]",
)
@config_options
def run(config: Config, policies: Path, group: str | None) -> None:
    """Decide and notify until SIGTERM or Ctrl-C. A second signal ends it at once; each transition is stored once
    all the same, and told at least once."""
    wiring.run(config, policies, group)
