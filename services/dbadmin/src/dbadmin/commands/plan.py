"""`dbadmin plan` and `dbadmin producer-count`: how much of everything the targets need."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import attrs
import click
from rich.filesize import decimal
from rich.table import Table

from dbadmin.commands.options import Duration
from dbadmin.commands.printing import print_table
from dbadmin.sizing.inventory import read_loads, read_max_connections, read_row_bytes
from dbadmin.sizing.planning import CHECK_US, Circumstances, Costs, Load, Need, plan
from dbadmin.targets.table import producer_count as count_producers
from monitoring_core.errors import OutageError
from monitoring_runtime.commands import config_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.targets.table import ProducerCount
    from monitoring_core.config import Config


@click.command("producer-count")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; with --watch, one a line.")
@click.option("--watch", is_flag=True, help="Go on, and print it again whenever it changes, until Ctrl-C.")
@click.option("--every", type=Duration(), default="5s", show_default=True, help="With --watch: how often to look.")
@config_options
def producer_count(config: Config, as_json: bool, watch: bool, every: float) -> None:
    """How many producers the active targets need: their number over websites_per_container, rounded up."""
    for count in _changes(config, every) if watch else [count_producers(config)]:
        click.echo(json.dumps(attrs.asdict(count)) if as_json else str(count.producers))
        if not as_json:
            click.echo(f"{count.active} active targets, {count.websites_per_container} for each producer", err=True)


def _changes(config: Config, every_s: float) -> Iterator[ProducerCount]:
    """The count now, and then whenever it is another; while PostgreSQL is away it says so once and waits."""
    known, away = None, False
    while True:
        try:
            count = count_producers(config)
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


@click.command("plan")
@click.option("--targets", "count", type=click.IntRange(1), help="Plan for so many, before there are any.")
@click.option("--interval", type=Duration(), help="With --targets: how often each is checked.")
@click.option("--check-us", type=click.FloatRange(0, min_open=True), help="Processor µs of a producer per check.")
@click.option("--row-us", type=click.FloatRange(0, min_open=True), help="Processor µs of a consumer per row.")
@click.option("--row-bytes", type=click.FloatRange(0, min_open=True), help="Bytes of a row. [default: the table's own]")
@click.option("--message-bytes", type=click.FloatRange(0, min_open=True), help="Bytes of a message in Kafka.")
@click.option("--response-time", type=Duration(), help="How long a check lasts, like 500ms.")
@click.option(
    "--kafka-retention", type=Duration(), default="7d", show_default=True, help="How long Kafka keeps messages."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@config_options
def plan_command(
    config: Config,
    count: int | None,
    interval: float | None,
    check_us: float | None,
    row_us: float | None,
    row_bytes: float | None,
    message_bytes: float | None,
    response_time: float | None,
    kafka_retention: float,
    as_json: bool,
) -> None:
    """How many producers, consumers, partitions and connections the active targets need, and how much disk.

    What things cost was measured on one machine (tests-e2e/benchmarks/README.md): processors are a guide. Status 1 when
    something that there is, or is configured, is not enough. With --targets PostgreSQL is not asked.
    """
    if interval and not count:
        raise click.UsageError("--interval needs --targets")
    given = {
        "row_us": row_us,
        "row_bytes": row_bytes,
        "message_bytes": message_bytes,
        "response_time_s": response_time,
        "check_us": check_us or CHECK_US[config.monitor.engine],
    }
    replication = config.kafka.replication_factor or 3
    known = Circumstances(kafka_retention_s=kafka_retention, replication=replication)
    if count:
        loads = [Load(count, interval or config.monitor.check_interval.total_seconds())]
    else:
        loads = read_loads(config)
        given["row_bytes"] = row_bytes or read_row_bytes(config.database)
        known = attrs.evolve(known, max_connections=read_max_connections(config.database))
    needs = plan(config, loads, Costs(**{name: value for name, value in given.items() if value}), known)
    if as_json:
        click.echo(json.dumps([attrs.asdict(need) | {"enough": enough(need)} for need in needs], indent=2))
    else:
        print_table(table(needs))
    if not all(map(enough, needs)):
        raise click.exceptions.Exit(1)


def enough(need: Need) -> bool:
    """Whether what there is does."""
    return need.have is None or need.need <= need.have


def table(needs: list[Need]) -> Table:
    """A plan for a person."""
    shown = Table("", "needed", "there is", "", box=None)
    for need in needs:
        style = "" if enough(need) else "bold red"
        have = "" if need.have is None else _number(need.have, need.unit)
        shown.add_row(need.what, _number(need.need, need.unit), have, need.because, style=style)
        if not enough(need):
            shown.add_row("", "", "", f"→ {need.advice}", style=style)
    return shown


def _number(value: float, unit: str) -> str:
    if unit == "B":
        return decimal(round(value))
    if 0 < value < 0.01:
        return "< 0.01"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
