"""`dbadmin status`: which websites are up, down, unknown or stale now."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from typing import TYPE_CHECKING

import attrs
import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dbadmin.commands.status_table import status_table, summary
from dbadmin.commands.watching import changes, looks
from dbadmin.status import COLUMNS, Question, read_status
from monitoring_core.errors import OutageError
from monitoring_runtime.commands import Duration, config_options, label_option
from monitoring_runtime.groups import examples
from monitoring_runtime.output import Output, output_option, plain, write_rows
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from dbadmin.status import Answer
    from monitoring_core.config import Config

_LINES = 100


@click.command(
    "status",
    epilog=examples(
        "dbadmin status                       the worst first",
        "dbadmin status --down --stale        what somebody should look at",
        "dbadmin status --label team=shop --watch",
        "dbadmin status --down -o json | jq -r '.[].url'",
    ),
)
@click.option("--down", is_flag=True, help="Only websites that are down; with --stale, those of either kind.")
@click.option("--stale", is_flag=True, help="Only websites that nobody has checked for too long.")
@label_option()
@click.option("--location", metavar="NAME", help="Only as seen from this location.")
@click.option(
    "--limit", type=click.IntRange(1), help=f"Show at most this many. [default: {_LINES} in a table, else all]"
)
@click.option("--watch", is_flag=True, help="Go on, and show what changes, until Ctrl-C.")
@click.option("--every", type=Duration(), default="5s", show_default=True, help="With --watch: how often to look.")
@output_option(Output.TABLE, Output.JSON, Output.CSV)
@config_options
def status_command(
    config: Config,
    down: bool,
    stale: bool,
    labels: dict[str, str],
    location: str | None,
    limit: int | None,
    watch: bool,
    every: float,
    output: Output,
) -> None:
    """Which websites are up, down, unknown or stale now.

    A status is stale when it is older than the interval and the timeout of its target allow: no producer checks it, or
    no consumer stores what it finds. With --watch a terminal shows the table anew each time; a pipe gets the table, or
    the list as one line of JSON, whenever a status has changed.
    """
    if watch and output is Output.CSV:
        raise click.UsageError("--watch needs -o table or -o json")
    limit = limit or (_LINES if output is Output.TABLE else None)
    ask = partial(read_status, config, Question(down, stale, labels, location, limit))
    if not watch:
        _print(ask(), output)
    elif output is Output.TABLE and Console().is_terminal:
        _redraw(ask, every)
    else:
        for answer in changes(ask, every, _seen):
            if output is Output.TABLE:
                _print(answer, output)
            else:
                click.echo(json.dumps([plain(attrs.asdict(one)) for one in answer.shown], ensure_ascii=False))


def _print(answer: Answer, output: Output) -> None:
    if output is not Output.TABLE:
        write_rows((attrs.asdict(one) for one in answer.shown), COLUMNS, output)
        return
    if answer.shown:
        print_table(status_table(answer))
    click.echo(summary(answer), err=True)


def _seen(answer: Answer) -> list[tuple[object, ...]]:
    return [(one.target_id, one.location, one.status, one.reason, one.stale) for one in answer.shown]


def _redraw(ask: Callable[[], Answer], every_s: float) -> None:
    """Show the table in place, until Ctrl-C. During an outage the last one stays, with the reason above it."""
    with Live(auto_refresh=False) as live, contextlib.suppress(KeyboardInterrupt):
        shown: list[RenderableType] = []
        for answer in looks(ask, every_s):
            if isinstance(answer, OutageError):
                live.update(Group(Text(str(answer), "bold red"), *shown), refresh=True)
            else:
                shown = [Text(summary(answer)), status_table(answer)]
                live.update(Group(*shown), refresh=True)
