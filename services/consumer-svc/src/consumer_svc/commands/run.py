"""`consumer-svc run`: store results until a signal comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consumer_svc import wiring
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(epilog=examples("consumer-svc run --config config.yaml", "consumer-svc run --set metrics.port=0"))
@config_options
def run(config: Config) -> None:
    """Consume until SIGTERM or Ctrl-C. A second signal ends it at once; nothing stored is lost or doubled by that."""
    wiring.run(config)
