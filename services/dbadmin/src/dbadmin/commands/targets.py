"""`dbadmin targets`: the websites to check, in files and in the database."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
from rich.markup import escape
from rich.table import Table

from dbadmin.commands.options import Duration
from dbadmin.commands.printing import print_table
from dbadmin.commands.progress import import_progress
from dbadmin.targets import files, probing, table
from dbadmin.targets.files import FileFormat
from dbadmin.targets.importing import Import
from dbadmin.targets.lines import Lines
from dbadmin.targets.staging import staging
from monitoring_core.config import EngineName
from monitoring_core.errors import InvalidTargetError, StopError
from monitoring_core.result import Status
from monitoring_core.result_lines import to_line
from monitoring_core.target import METHODS, TargetRecord, without_credentials
from monitoring_runtime.commands import config_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import Config


@click.group("targets")
def targets_group() -> None:
    """The websites to check."""


@targets_group.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(list(FileFormat), case_sensitive=False),
    help="[default: by ending, .csv or else JSON Lines]",
)
@click.option("--dry-run", is_flag=True, help="Check everything, also against the table, and change nothing.")
@click.option("--deactivate-missing", is_flag=True, help="Deactivate the targets that FILE does not have.")
@config_options
def import_targets(
    config: Config, file: Path, file_format: FileFormat | None, dry_run: bool, deactivate_missing: bool
) -> None:
    """Add or update the targets of FILE (- for standard input): CSV with a header, or JSON Lines.

    A line with an id updates that target, one without the target of its URL. All lines are taken, or none. Of bad lines
    the first hundred are shown, and how many there are.
    """
    with click.open_file(str(file), "rb") as opened, import_progress(opened) as progress:
        rows = staging(Lines(opened, progress.read), file_format or by_ending(file))
        counts = Import(
            lambda number, problem: click.echo(f"{file}:{number}: {problem}", err=True),
            progress.lines,
            dry_run,
            deactivate_missing,
        ).run(config.database, rows)
    if counts.bad:
        click.echo(f"{counts.read} lines read, {counts.bad} bad, nothing changed", err=True)
        sys.exit(1)
    done = f"{counts.added} added, {counts.updated} updated, {counts.unchanged} unchanged"
    done += f", {counts.deactivated} deactivated" if deactivate_missing else ""
    click.echo(f"{counts.read} lines read: {done}{' (dry run: nothing was written)' if dry_run else ''}")


@targets_group.command("add")
@click.argument("url")
@click.option("--regexp", help="What the body must hold (RE2 syntax).")
@click.option("--interval", "check_interval_s", type=Duration(), help="How often it is checked, like 60s.")
@click.option("--timeout", "timeout_s", type=Duration(), help="The budget of one check, like 10s.")
@click.option("--method", type=click.Choice(METHODS))
@click.option("--expected-status", help="Codes and ranges that count as up, like 200-299,301.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Repeatable.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@click.option("--body", help="What a POST sends.")
@click.option("--follow-redirects/--no-follow-redirects", default=None)
@click.option("--verify-tls/--no-verify-tls", default=None)
@click.option("--inactive", is_flag=True, help="Do not check it yet.")
@config_options
def add_target(
    config: Config, headers: tuple[str, ...], labels: tuple[str, ...], inactive: bool, **values: object
) -> None:
    """Add the target URL, and say its id. One that is there already is left alone, with status 1."""
    fields = {name: value for name, value in values.items() if value is not None} | {"active": not inactive}
    if (interval := fields.get("check_interval_s")) and isinstance(interval, float) and interval.is_integer():
        fields["check_interval_s"] = int(interval)
    fields |= _pairs("headers", headers, ":") | _pairs("labels", labels, "=")
    try:
        record = TargetRecord.parse(fields)
    except InvalidTargetError as error:
        raise click.UsageError("; ".join(error.problems)) from None
    click.echo(f"target {table.add(config.database, record)} added")


def _pairs(name: str, texts: tuple[str, ...], sign: str) -> dict[str, dict[str, str]]:
    if bad := [text for text in texts if sign not in text]:
        raise click.UsageError(f"--{name[:-1]}: must be NAME{sign}VALUE, of which {len(bad)} has no {sign!r}")
    pairs = (text.partition(sign) for text in texts)
    return {name: {key.strip(): value.strip() for key, _, value in pairs}} if texts else {}


@targets_group.command("activate")
@click.argument("names", nargs=-1, required=True, metavar="ID|URL...")
@config_options
def activate(config: Config, names: tuple[str, ...]) -> None:
    """Check these targets again; all that are named, or none when one does not exist."""
    _switch(config, names, True)


@targets_group.command("deactivate")
@click.argument("names", nargs=-1, required=True, metavar="ID|URL...")
@config_options
def deactivate(config: Config, names: tuple[str, ...]) -> None:
    """Check these targets no more; all that are named, or none when one does not exist. Their results stay."""
    _switch(config, names, False)


def _switch(config: Config, names: tuple[str, ...], active: bool) -> None:
    switched = table.set_active(config.database, active, names)
    click.echo(
        f"{switched} targets {'activated' if active else 'deactivated'}, {len(names) - switched} were so already"
    )


@targets_group.command("test")
@click.argument("names", nargs=-1, required=True, metavar="FILE|ID|URL...")
@click.option(
    "--engine",
    type=click.Choice(list(EngineName), case_sensitive=False),
    help="What makes the requests. [default: monitor.engine]",
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many targets."
)
@click.option("--json", "as_json", is_flag=True, help="Print each result as one JSON object a line.")
@config_options
def check_targets(config: Config, names: tuple[str, ...], engine: EngineName | None, limit: int, as_json: bool) -> None:
    """Check targets now, before they are saved or after: those of a FILE, a saved one by its ID or URL, or any URL.

    Nothing is stored. Status 1 when one of them is not up. It needs producer-svc on this machine.
    """
    records = list(islice(_records(config, names), limit))
    results = probing.probe(records, engine or config.monitor.engine, config.monitor)
    not_up = 0
    shown = Table("url", "status", "reason", "HTTP", "time", "error", box=None)
    for record, result in zip(records, results, strict=True):
        not_up += result.status is not Status.UP
        if as_json:
            click.echo(to_line(result))
            continue
        time = "" if result.response_time_s is None else f"{1000 * result.response_time_s:.0f} ms"
        url = without_credentials(record.url)
        shown.add_row(
            url, result.status, result.reason or "", str(result.http_status or ""), time, escape(result.error or "")
        )
    if not as_json:
        print_table(shown)
        click.echo(f"{len(records)} checked, {not_up} not up", err=True)
    sys.exit(1 if not_up else 0)


def _records(config: Config, names: tuple[str, ...]) -> Iterator[TargetRecord]:
    for name in names:
        if Path(name).is_file():
            with Path(name).open("rb") as file:
                for line in files.read_targets(file, by_ending(Path(name))):
                    if line.record is None:
                        raise StopError(f"{name}:{line.number}: {'; '.join(line.problems)}")
                    yield line.record
        elif found := table.find(config.database, [name]):
            yield from found
        elif name.isdecimal():
            raise StopError(f"{name}: there is no such target")
        else:
            try:
                yield TargetRecord.parse({"url": name})
            except InvalidTargetError as error:
                raise StopError(f"{error.problems[0]}, and there is no such file") from None


@targets_group.command("export")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(list(FileFormat), case_sensitive=False),
    help="[default: by ending, .csv or else JSON Lines]",
)
@config_options
def export_targets(config: Config, file: TextIO, file_format: FileFormat | None) -> None:
    """Write all targets to FILE (standard output when it is not given), so that importing them changes nothing."""
    chosen = file_format or by_ending(Path(file.name))
    count = files.write_targets(file, chosen, table.read_all(config.database))
    click.echo(f"{count} targets written", err=True)


@targets_group.command("list")
@click.option("--active", is_flag=True, help="Only active targets.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@config_options
def list_targets(config: Config, active: bool, limit: int) -> None:
    """Show targets in a table."""
    shown = Table("id", "url", "regexp", "active", "interval", "timeout", box=None)
    for record in table.read_all(config.database, active_only=active, limit=limit):
        interval = f"{record.check_interval_s} s" if record.check_interval_s else "default"
        timeout = f"{record.timeout_s:g} s" if record.timeout_s else "default"
        url = without_credentials(record.url)
        shown.add_row(str(record.id), url, record.regexp or "", "yes" if record.active else "no", interval, timeout)
    print_table(shown)


def by_ending(file: Path) -> FileFormat:
    return FileFormat.CSV if file.suffix.lower() == ".csv" else FileFormat.JSONL
