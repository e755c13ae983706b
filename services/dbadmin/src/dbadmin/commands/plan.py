"""`dbadmin plan`: how much of everything the targets need."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import attrs
import click
from rich.filesize import decimal
from rich.table import Table

from dbadmin.sizing.inventory import read_loads, read_max_connections, read_row_bytes, read_topic
from dbadmin.sizing.planning import Circumstances, Costs, Load, Need, check_us, plan
from monitoring_runtime.commands import Duration, config_options
from monitoring_runtime.groups import examples
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    from monitoring_core.config import Config


class _Cost(click.FloatRange):
    """A number above 0; NaN and infinity, which Python reads too, are none."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"must be a number, got {value}", param, ctx)
        return number


@click.command(
    "plan",
    epilog=examples(
        "dbadmin plan",
        "dbadmin plan --targets 100000 --interval 60s",
        "dbadmin plan --targets 5000 --set monitor.websites_per_container=500 --json",
    ),
)
@click.option(
    "--targets", "count", type=click.IntRange(1), help="Plan for this many targets, before the table has any."
)
@click.option("--interval", type=Duration(whole=True), help="With --targets: how often each is checked.")
@click.option("--check-us", type=_Cost(), help="Processor µs of a producer per check.")
@click.option("--row-us", type=_Cost(), help="Processor µs of a consumer per row.")
@click.option("--row-bytes", type=_Cost(), help="Bytes of a row. [default: the table's own]")
@click.option("--message-bytes", type=_Cost(), help="Bytes of a message in Kafka.")
@click.option("--response-time", "response_time_s", type=Duration(), help="How long a check lasts, like 500ms.")
@click.option(
    "--kafka-retention", type=Duration(), default="7d", show_default=True, help="How long Kafka keeps messages."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@config_options
def plan_command(
    config: Config,
    count: int | None,
    interval: float | None,
    kafka_retention: float,
    as_json: bool,
    **costs: float | None,
) -> None:
    """How many producers, consumers, partitions and connections the active targets need, and how much disk.

    What things cost was measured on one machine (tests-e2e/benchmarks/README.md): processors are a guide. Status 1 when
    what is there or is configured is not enough. With --targets neither PostgreSQL nor Kafka is asked.
    """
    if interval and not count:
        raise click.UsageError("--interval needs --targets")
    known = Circumstances(kafka_retention_s=kafka_retention)
    if config.kafka.replication_factor:
        known = attrs.evolve(known, replication=config.kafka.replication_factor, replication_from="configured")
    if count:
        loads = [Load(count, interval or config.monitor.check_interval.total_seconds())]
    else:
        loads = read_loads(config)
        costs["row_bytes"] = costs["row_bytes"] or read_row_bytes(config.database)
        known = attrs.evolve(known, max_connections=read_max_connections(config.database))
        if topic := read_topic(config.kafka):
            known = attrs.evolve(known, partitions=topic.partitions, replication=topic.replicas, replication_from="")
    needs = plan(config, loads, _costs(config, costs), known)
    if as_json:
        click.echo(json.dumps([attrs.asdict(need) | {"enough": _enough(need)} for need in needs], indent=2))
    else:
        print_table(_table(needs))
    if not all(map(_enough, needs)):
        raise click.exceptions.Exit(1)


def _costs(config: Config, given: dict[str, float | None]) -> Costs:
    """The costs that the user gave; the measured costs where the user gave none."""
    named = {name: value for name, value in given.items() if value}
    return Costs(**({"check_us": check_us(config.monitor.engine)} | named))


def _enough(need: Need) -> bool:
    return need.have is None or need.need <= need.have


def _table(needs: list[Need]) -> Table:
    shown = Table("", "needed", "there is", "", box=None)
    for need in needs:
        style = "" if _enough(need) else "bold red"
        have = "" if need.have is None else _number(need.have, need.unit)
        shown.add_row(need.what, _number(need.need, need.unit), have, need.because, style=style)
        if not _enough(need):
            shown.add_row("", "", "", f"→ {need.advice}", style=style)
    return shown


def _number(value: float, unit: str) -> str:
    if unit == "B":
        return decimal(round(value))
    if 0 < value < 0.01:
        return "< 0.01"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
