"""`dbadmin downgrade-schema`: back to an earlier revision of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbadmin.commands.options import sql_option
from dbadmin.commands.printing import tell
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(
    "downgrade-schema", epilog=examples("dbadmin downgrade-schema 0007 --sql", "dbadmin downgrade-schema 0007")
)
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask whether the data may go.")
@sql_option
@config_options
def downgrade_schema_command(config: Config, revision: str, yes: bool, as_sql: bool) -> None:
    """Bring the schema back to REVISION, like 0003. The data in what later revisions made is lost.

    With `base` nothing is left, neither targets nor results.
    """
    from dbadmin.install import revisions  # imported late, as in `setup`

    if as_sql:
        click.echo(revisions.downgrade_sql(config.database, revision))
        return
    lost = revisions.undone(config.database, revision)
    if not yes:
        _confirm(lost)
    click.echo(revisions.downgrade(config.database, revision, tell))


def _confirm(lost: list[str]) -> None:
    click.echo("These revisions are undone, and the data in the tables and columns that they made is lost:", err=True)
    click.echo("".join(f"  {line}\n" for line in lost), err=True, nl=False)
    click.confirm("Go on?", abort=True, err=True)
