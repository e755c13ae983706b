"""`dbadmin targets activate` and `deactivate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbadmin.targets.table import set_active
from monitoring_runtime.commands import config_options, counted
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config

_names = click.argument("names", nargs=-1, required=True, metavar="ID|URL...")


@click.command("activate", epilog=examples("dbadmin targets activate 7 https://example.org"))
@_names
@config_options
def activate(config: Config, names: tuple[str, ...]) -> None:
    """Check these targets again; all that are named, or none when one does not exist."""
    _switch(config, names, True)


@click.command("deactivate", epilog=examples("dbadmin targets deactivate 7 https://example.org"))
@_names
@config_options
def deactivate(config: Config, names: tuple[str, ...]) -> None:
    """Check these targets no more; all that are named, or none when one does not exist. Their results stay."""
    _switch(config, names, False)


def _switch(config: Config, names: tuple[str, ...], active: bool) -> None:
    switched = set_active(config.database, active, names)
    same = len(set(names)) - switched
    already = f", {same:,} {'was' if same == 1 else 'were'} so already" if same > 0 else ""
    click.echo(f"{counted(switched, 'target')} {'activated' if active else 'deactivated'}{already}")
