"""`dbadmin config`: begin a configuration, and see what is in effect."""

from __future__ import annotations

import click

from monitoring_runtime.groups import LazyGroup, examples

COMMANDS = {
    "init": "dbadmin.commands.config.init:init_config",
    "show": "dbadmin.commands.config.show:show_config",
}


@click.group(
    "config",
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog=examples("dbadmin config init config.yaml", "dbadmin config show --config config.yaml"),
)
def config_group() -> None:
    """Begin a configuration, or see the one that is in effect."""
