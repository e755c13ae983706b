"""`status-svc run`: serve until a signal comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples
from status_svc import wiring

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(epilog=examples("status-svc run --config config.yaml", "status-svc run --set status.port=0"))
@config_options
def run(config: Config) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    wiring.run(config)
