"""The commands that change the schema's revision. Alembic and SQLAlchemy take half a second to load: only here."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click

from monitoring_runtime.commands import config_options

if TYPE_CHECKING:
    from monitoring_core.config import Config

_sql = click.option("--sql", "as_sql", is_flag=True, help="Print the statements that would run, and change nothing.")


@click.command("create-schema")
@_sql
@config_options
def create_schema(config: Config, as_sql: bool) -> None:
    """Bring the schema to the newest revision and make the day partitions. May be repeated.

    The accounts of the section `roles` get their rights on what is new. Services go on meanwhile.
    """
    from dbadmin.install import schema

    today = dt.datetime.now(dt.UTC).date()
    if as_sql:
        click.echo(schema.create_schema_sql(config.database, today))
        return
    for line in schema.create_schema(config.database, today, config.roles):
        click.echo(line)


@click.command("downgrade-schema")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask whether the data may go.")
@_sql
@config_options
def downgrade_schema(config: Config, revision: str, yes: bool, as_sql: bool) -> None:
    """Bring the schema back to REVISION, like 0003. The data in what later revisions made is lost.

    With `base` nothing is left, neither targets nor results.
    """
    from dbadmin.install import revisions

    if as_sql:
        click.echo(revisions.downgrade_sql(config.database, revision))
        return
    lost = revisions.undone(config.database, revision)
    if not yes:
        click.echo(
            "These revisions are undone, and the data in the tables and columns that they made is lost:", err=True
        )
        click.echo("".join(f"  {line}\n" for line in lost), err=True, nl=False)
        click.confirm("Go on?", abort=True, err=True)
    click.echo(revisions.downgrade(config.database, revision))
