"""`dbadmin targets add`: one target from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbadmin.commands.targets.fields import field_options, given, parsed
from dbadmin.targets.table import add
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(
    "add",
    epilog=examples(
        "dbadmin targets add https://example.org --regexp 'Example Domain'",
        "dbadmin targets add https://example.org/api --interval 30s --label team=shop",
        "dbadmin targets add https://example.org --header 'Accept: text/html'",
    ),
)
@click.argument("url")
@field_options
@click.option("--inactive", is_flag=True, help="Do not check it yet.")
@config_options
def add_target(config: Config, inactive: bool, **values: object) -> None:
    """Add the target URL, and say its id. One that is there already is left alone, with status 1."""
    record = parsed(given(values) | {"active": not inactive})
    click.echo(f"target {add(config.database, record)} added")
