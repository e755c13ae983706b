"""`dbadmin targets list` and `show`: targets, without the secrets that they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from dbadmin.targets.table import ALL, Selection, count, named, read_all
from monitoring_core.targets.masked import SHOWN, shown
from monitoring_runtime.commands import config_options, counted, label_option
from monitoring_runtime.groups import examples
from monitoring_runtime.output import Output, output_option, write_rows
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitoring_core.config import Config

_LINES = 100
_ALWAYS = ("id", "url", "active")
_WIDTH = max(map(len, SHOWN)) + 2


@click.command(
    "list",
    epilog=examples(
        "dbadmin targets list --label team=shop",
        "dbadmin targets list --url example.org --inactive",
        "dbadmin targets list -o csv > targets.csv",
    ),
)
@click.option("--active/--inactive", default=None, help="Only those that are checked, or only those that are not.")
@label_option()
@click.option("--url", "url_part", metavar="TEXT", help="Only those with TEXT in their URL.")
@click.option(
    "--limit", type=click.IntRange(1), help=f"Show at most this many. [default: {_LINES} in a table, else all]"
)
@output_option(Output.TABLE, Output.JSON, Output.YAML, Output.CSV)
@config_options
def list_targets(
    config: Config,
    active: bool | None,
    labels: dict[str, str],
    url_part: str | None,
    limit: int | None,
    output: Output,
) -> None:
    """Show targets. An empty value stands for the default of the configuration.

    The table leaves out the fields that no target in it has; the other forms have all of them. The values of headers,
    bodies and passwords are masked: `dbadmin targets export` has them.
    """
    selection = Selection(active, labels, url_part)
    limit = limit or (_LINES if output is Output.TABLE else None)
    rows = map(shown, read_all(config.database, selection, limit))
    if output is not Output.TABLE:
        found = write_rows(rows, SHOWN, output)
    else:
        listed = list(rows)
        found = len(listed)
        if listed:
            print_table(_table(listed))
    if found == limit or not found:  # then the list may be cut
        click.echo(_hint(found, count(config.database, selection), selection), err=True)


@click.command("show", epilog=examples("dbadmin targets show 7", "dbadmin targets show https://example.org -o yaml"))
@click.argument("names", nargs=-1, required=True, metavar="ID|URL...")
@output_option(Output.TABLE, Output.JSON, Output.YAML, Output.CSV)
@config_options
def show_targets(config: Config, names: tuple[str, ...], output: Output) -> None:
    """Show every field of these targets. An empty value stands for the default of the configuration.

    The values of headers, bodies and passwords are masked: `dbadmin targets export` has them.
    """
    rows = [shown(record) for record in named(config.database, names)]
    if output is not Output.TABLE:
        write_rows(rows, SHOWN, output)
        return
    for number, row in enumerate(rows):
        click.echo("\n" if number else "", nl=False)
        for name, value in row.items():
            click.echo(f"{name:<{_WIDTH}}{_text(value)}".rstrip())


def _table(rows: Sequence[Mapping[str, object]]) -> Table:
    """The rows with the fields that one of them has at least."""
    names = [name for name in SHOWN if name in _ALWAYS or any(row[name] is not None for row in rows)]
    table = Table(box=None, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row[name])) for name in names))
    return table


def _text(value: object) -> str:
    """A value in one line for a person."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name}={_text(one) or 'null'}" for name, one in value.items())
        case list():
            return ", ".join(map(_text, value))
    return " ".join(f"{value:g}".split() if isinstance(value, float) else str(value).split())


def _hint(found: int, there: int, selection: Selection) -> str:
    """How many targets are not shown, or why there is none."""
    if there > found:
        return f"{found:,} of {counted(there, 'target')} shown; --limit N shows more"
    if found:
        return counted(there, "target")
    if selection == ALL:
        return "no target yet; `dbadmin targets add URL` and `targets import FILE` add some"
    return "no target is so"
