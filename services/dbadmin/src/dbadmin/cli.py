"""The command line of dbadmin."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import attrs
import click
import stamina
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from dbadmin import __version__, target_files, targets, topics
from dbadmin.commands.maintain import maintain_command
from monitoring_core.config import parse_duration
from monitoring_core.errors import OutageError
from monitoring_core.target import without_credentials
from monitoring_runtime.commands import MonitoringGroup, check_config, config_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.target_files import FileFormat, Line
    from monitoring_core.config import Config


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_duration(str(value)).total_seconds()
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(cls=MonitoringGroup)
@click.version_option(__version__, prog_name="dbadmin")
def main() -> None:
    """Set up and look after the database and the topics."""


@main.command("create-schema")
@config_options
def create_schema(config: Config) -> None:
    """Bring the schema to the newest revision and make the day partitions. May be repeated."""
    from dbadmin import schema  # loads Alembic and SQLAlchemy, half a second that other commands need not wait

    _say(schema.create_schema(config.database, dt.datetime.now(dt.UTC).date()))


@main.command("create-topics")
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Of the results' topic. [default: kafka.partitions]")
@click.option("--replication-factor", type=click.IntRange(1, 15), help="[default: kafka.replication_factor]")
@config_options
def create_topics(config: Config, partitions: int | None, replication_factor: int | None) -> None:
    """Make the topics that are missing; raise the partition count where it is lower. It is never lowered."""
    kafka = config.kafka
    _say(topics.create_topics(kafka, partitions or kafka.partitions, replication_factor or kafka.replication_factor))


@main.command("setup")
@click.option("--wait", type=_Duration(), default="0s", help="Wait this long for servers that are away, like 60s.")
@config_options
def set_up(config: Config, wait: float) -> None:
    """Make the database if it is missing, the schema and the topics, in that order. May be repeated."""
    from dbadmin import setup  # as in create_schema

    for attempt in stamina.retry_context(on=OutageError, attempts=None if wait else 1, timeout=wait or None):
        with attempt:
            _say(setup.set_up(config))


@main.command("producer-count")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_options
def producer_count(config: Config, as_json: bool) -> None:
    """How many producers the active targets need: their number over websites_per_container, rounded up."""
    count = targets.producer_count(config)
    click.echo(json.dumps(attrs.asdict(count)) if as_json else str(count.producers))
    if not as_json:
        click.echo(f"{count.active} active targets, {count.websites_per_container} for each producer", err=True)


@main.group("targets")
def targets_group() -> None:
    """The websites to check."""


@targets_group.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option("--format", "file_format", type=click.Choice(list(target_files.FileFormat)), help="[default: by ending]")
@click.option("--dry-run", is_flag=True, help="Check everything, also against the table, and change nothing.")
@config_options
def import_targets(config: Config, file: Path, file_format: FileFormat | None, dry_run: bool) -> None:
    """Add or update the targets of FILE (- for standard input): CSV with a header, or JSON Lines.

    A line with an id updates that target, one without the target of its URL. All lines are taken, or none.
    """
    chosen = file_format or _by_ending(file)
    with click.open_file(str(file), encoding="utf-8") as lines:
        counts = targets.import_targets(
            config.database,
            _with_progress(target_files.read_targets(lines, chosen)),
            lambda number, problem: click.echo(f"{file}:{number}: {problem}", err=True),
            dry_run,
        )
    if counts.bad:
        click.echo(f"{counts.read} lines read, {counts.bad} bad, nothing changed", err=True)
        sys.exit(1)
    done = f"{counts.added} added, {counts.updated} updated, {counts.unchanged} unchanged"
    click.echo(f"{counts.read} lines read: {done}{' (dry run: nothing was written)' if dry_run else ''}")


@targets_group.command("export")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@click.option("--format", "file_format", type=click.Choice(list(target_files.FileFormat)), help="[default: by ending]")
@config_options
def export_targets(config: Config, file: TextIO, file_format: FileFormat | None) -> None:
    """Write all targets to FILE (standard output when it is not given), so that importing them changes nothing."""
    chosen = file_format or _by_ending(Path(file.name))
    count = target_files.write_targets(file, chosen, targets.read_all(config.database))
    click.echo(f"{count} targets written", err=True)


@targets_group.command("list")
@click.option("--active", is_flag=True, help="Only active targets.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@config_options
def list_targets(config: Config, active: bool, limit: int) -> None:
    """Show targets in a table."""
    table = Table("id", "url", "regexp", "active", "interval", "timeout", box=None)
    for record in targets.read_all(config.database, active_only=active, limit=limit):
        interval = f"{record.check_interval_s} s" if record.check_interval_s else "default"
        timeout = f"{record.timeout_s:g} s" if record.timeout_s else "default"
        url = without_credentials(record.url)
        table.add_row(str(record.id), url, record.regexp or "", "yes" if record.active else "no", interval, timeout)
    Console().print(table)


main.add_command(check_config)
main.add_command(maintain_command)


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        click.echo(line)


def _by_ending(file: Path) -> FileFormat:
    return target_files.FileFormat.CSV if file.suffix.lower() == ".csv" else target_files.FileFormat.JSONL


def _with_progress(lines: Iterator[Line]) -> Iterator[Line]:
    """The same lines, with their count on a terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} lines"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(lines, description="")
