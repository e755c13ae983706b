"""`status-svc check-config`: also what logging in needs, which other programs do not look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitoring_runtime.commands import config_options, say_valid
from monitoring_runtime.groups import examples
from status_svc import wiring

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(
    "check-config",
    epilog=examples("status-svc check-config --config config.yaml", "status-svc check-config --set status.port=8081"),
)
@config_options
def check_config(config: Config) -> None:
    """Check the configuration and connect nowhere. Status 2 and one line a fault when it is not valid."""
    wiring.check_login(config)
    say_valid(config)
