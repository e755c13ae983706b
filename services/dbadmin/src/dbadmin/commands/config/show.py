"""`dbadmin config show`: every setting as it is in effect, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from monitoring_core.config import Role, load_settings, written
from monitoring_runtime.commands import config_source_options
from monitoring_runtime.groups import examples
from monitoring_runtime.output import Output, output_option, write_rows
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_COLUMNS = ("setting", "value", "origin")
_DEFAULT = "default"


@click.command(
    "show",
    epilog=examples(
        "dbadmin config show",
        "dbadmin config show kafka database.host",
        "dbadmin config show --changed --role producer",
    ),
)
@click.argument("names", nargs=-1, metavar="[SECTION[.KEY]]...")
@click.option("--changed", is_flag=True, help="Only what is not a default.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.ADMINISTRATOR.value,
    show_default=True,
    help="As whom to connect to PostgreSQL: the part whose database.user and password are shown.",
)
@output_option(Output.TABLE, Output.JSON, Output.YAML, Output.CSV)
@config_source_options
@click.pass_context
def show_config(
    context: click.Context,
    config_path: Path | None,
    settings: Sequence[str],
    names: tuple[str, ...],
    changed: bool,
    role: str,
    output: Output,
) -> None:
    """Show every setting as it is in effect, and where it comes from.

    That is a line of the file, a variable of the environment, --set, or a default.

    Of a secret only its source is shown. Status 2 when the configuration is not valid, as for check-config.
    """
    kubernetes = getattr(context.find_root().command, "kubernetes", None)
    known = load_settings(config_path, settings=settings, role=Role(role), kubernetes=kubernetes)
    if unknown := [name for name in names if not any(_is_named(one.path, name) for one in known)]:
        raise click.UsageError(f"there is no setting and no section {unknown[0]}")
    rows = [
        {"setting": one.path, "value": written(one.value), "origin": one.origin or _DEFAULT}
        for one in known
        if (one.origin or not changed) and (not names or any(_is_named(one.path, name) for name in names))
    ]
    if output is not Output.TABLE:
        write_rows(rows, _COLUMNS, output)
        return
    table = Table(*_COLUMNS, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(Text(value, "dim" if row["origin"] == _DEFAULT else "") for value in row.values()))
    print_table(table)


def _is_named(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")
