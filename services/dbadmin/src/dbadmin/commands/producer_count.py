"""`dbadmin producer-count`: how many producers the active targets need."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import attrs
import click

from dbadmin.targets.table import producer_count
from monitoring_core.errors import OutageError
from monitoring_runtime.commands import Duration, config_options, counted
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.targets.table import ProducerCount
    from monitoring_core.config import Config


@click.command("producer-count", epilog=examples("dbadmin producer-count", "dbadmin producer-count --watch --json"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; with --watch, one a line.")
@click.option("--watch", is_flag=True, help="Go on, and print it again whenever it changes, until Ctrl-C.")
@click.option("--every", type=Duration(), default="5s", show_default=True, help="With --watch: how often to look.")
@config_options
def producer_count_command(config: Config, as_json: bool, watch: bool, every: float) -> None:
    """How many producers the active targets need: their number over websites_per_container, rounded up."""
    for count in _changes(config, every) if watch else [producer_count(config)]:
        click.echo(json.dumps(attrs.asdict(count)) if as_json else str(count.producers))
        if not as_json:
            click.echo(
                f"{counted(count.active, 'active target')}, {count.websites_per_container:,} for each producer",
                err=True,
            )


def _changes(config: Config, every_s: float) -> Iterator[ProducerCount]:
    """The count now and after each change. An outage of PostgreSQL is printed once, and the watch goes on.

    Raises:
        OutageError: PostgreSQL is away before the first count.
    """
    known, away = None, False
    while True:
        try:
            count = producer_count(config)
        except OutageError as error:
            if known is None:
                raise
            if not away:
                click.echo(str(error), err=True)
            away = True
        else:
            away = False
            if count != known:
                yield count
            known = count
        time.sleep(every_s)
