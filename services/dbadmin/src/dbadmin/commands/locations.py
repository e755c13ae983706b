"""`dbadmin locations`: the places that checks are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table

from dbadmin.history.locations import forget_location, read_locations
from monitoring_core.clock import for_people
from monitoring_runtime.commands import config_options, counted
from monitoring_runtime.groups import LazyGroup, examples
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    import datetime as dt

    from monitoring_core.config import Config


@click.group("locations", cls=LazyGroup, epilog=examples("dbadmin locations list"))
def locations_group() -> None:
    """The places that checks are made from."""


@locations_group.command("list", epilog=examples("dbadmin locations list"))
@config_options
def list_locations(config: Config) -> None:
    """Show the locations that have results, and those whose producers have sent none yet."""
    table = Table("location", "first result", "newest result", "targets", "producers now", box=None)
    for location in read_locations(config.database):
        counts = str(location.targets), str(location.producers)
        table.add_row(location.name, _shown(location.first_at), _shown(location.last_at), *counts)
    print_table(table)


@locations_group.command("forget", epilog=examples("dbadmin locations forget berlin"))
@click.argument("location")
@config_options
def forget(config: Config, location: str) -> None:
    """Show a location no more, which was a mistake or is given up.

    No producer may work there any more. Its results and its history stay until they are too old. Open incidents end at
    the next dbadmin maintain. It is listed again when it has newer results.
    """
    was = forget_location(config.database, location)
    click.echo(f"location {was.name}: forgotten, {counted(was.targets, 'target')} had results from it")


def _shown(moment: dt.datetime | None) -> str:
    return for_people(moment) if moment else "none"
