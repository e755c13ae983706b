"""`dbadmin producer-count`: how many producers the active targets need."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import attrs
import click

from dbadmin.commands.watching import changes
from dbadmin.targets.table import producer_count
from monitoring_runtime.commands import Duration, config_options, counted
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command("producer-count", epilog=examples("dbadmin producer-count", "dbadmin producer-count --watch --json"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; with --watch, one a line.")
@click.option("--watch", is_flag=True, help="Go on, and print it again whenever it changes, until Ctrl-C.")
@click.option("--every", type=Duration(), default="5s", show_default=True, help="With --watch: how often to look.")
@config_options
def producer_count_command(config: Config, as_json: bool, watch: bool, every: float) -> None:
    """How many producers the active targets need: their number over websites_per_container, rounded up."""
    ask = partial(producer_count, config)
    for count in changes(ask, every, attrs.astuple) if watch else [ask()]:
        click.echo(json.dumps(attrs.asdict(count)) if as_json else str(count.producers))
        if not as_json:
            click.echo(
                f"{counted(count.active, 'active target')}, {count.websites_per_container:,} for each producer",
                err=True,
            )
