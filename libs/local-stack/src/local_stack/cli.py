"""The command line of the local stack."""

from __future__ import annotations

import click

from local_stack import __version__
from monitoring_runtime.groups import MonitoringGroup, examples

COMMANDS = {"up": "local_stack.command:up"}


@click.group(cls=MonitoringGroup, lazy=COMMANDS, epilog=examples("local-stack up --duration 20s"))
@click.version_option(__version__, prog_name="local-stack")
def main() -> None:
    """The whole monitor on one machine."""
