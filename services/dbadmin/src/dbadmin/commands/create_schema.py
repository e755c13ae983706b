"""`dbadmin create-schema`: the schema alone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click

from dbadmin.commands.options import sql_option
from dbadmin.commands.printing import print_lines, tell
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command("create-schema", epilog=examples("dbadmin create-schema", "dbadmin create-schema --sql > schema.sql"))
@sql_option
@config_options
def create_schema_command(config: Config, as_sql: bool) -> None:
    """Bring the schema to the newest revision and make the day partitions. May be repeated.

    The accounts of the section `roles` get their rights on what is new. Services go on meanwhile. What others hold is
    waited for, for two minutes, and who holds it is said.
    """
    from dbadmin.install import schema  # imported late, as in `setup`

    today = dt.datetime.now(dt.UTC).date()
    if as_sql:
        click.echo(schema.create_schema_sql(config.database, today))
    else:
        print_lines(schema.create_schema(config.database, today, config.roles, tell))
