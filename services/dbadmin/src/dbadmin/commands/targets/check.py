"""`dbadmin targets test`: check targets now, also before they are saved."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from dbadmin.commands.progress import check_progress
from dbadmin.commands.targets.formats import by_ending
from dbadmin.targets.probing import probe
from dbadmin.targets.table import find
from monitoring_core.config import EngineName
from monitoring_core.errors import InvalidTargetError, StopError
from monitoring_core.result import Status
from monitoring_core.result_lines import to_line
from monitoring_core.targets import TargetRecord, without_credentials
from monitoring_core.targets.files import read_targets
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitoring_core.config import Config
    from monitoring_core.result import CheckResult


@click.command(
    "test",
    epilog=examples(
        "dbadmin targets test 7 https://example.org", "dbadmin targets test websites.csv --limit 500 --json"
    ),
)
@click.argument("names", nargs=-1, required=True, metavar="FILE|ID|URL...")
@click.option(
    "--engine",
    type=click.Choice(list(EngineName), case_sensitive=False),
    help="What makes the requests. [default: monitor.engine]",
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Check at most this many."
)
@click.option("--json", "as_json", is_flag=True, help="Print each result as one JSON object a line.")
@config_options
def check_targets(config: Config, names: tuple[str, ...], engine: EngineName | None, limit: int, as_json: bool) -> None:
    """Check targets now, before they are saved or after: those of a FILE, a saved one by its ID or URL, or any URL.

    Nothing is stored. Status 1 when one of them is not up. It needs producer-svc on this machine.
    """
    found = list(islice(_records(config, names), limit + 1))
    records = found[:limit]
    with check_progress(len(records)) as checked:
        results = probe(records, engine or config.monitor.engine, config.monitor, checked)
    not_up = sum(result.status is not Status.UP for result in results)
    if as_json:
        for result in results:
            click.echo(to_line(result))
    else:
        print_table(_table(records, results))
        click.echo(f"{len(records)} checked, {not_up} not up", err=True)
    if len(found) > limit:
        click.echo(f"there are more: --limit {limit} ended it", err=True)
    sys.exit(1 if not_up else 0)


def _records(config: Config, names: tuple[str, ...]) -> Iterator[TargetRecord]:
    for name in names:
        if Path(name).is_file():
            yield from _of_file(name)
        elif found := find(config.database, [name]):
            yield from found
        elif name.isdecimal():
            raise StopError(f"{name}: there is no such target")
        else:
            try:
                yield TargetRecord.parse({"url": name})
            except InvalidTargetError as error:
                raise StopError(f"{error.problems[0]}, and there is no such file") from None


def _of_file(name: str) -> Iterator[TargetRecord]:
    path = Path(name)
    with path.open("rb") as file:
        for line in read_targets(file, by_ending(path)):
            if line.record is None:
                raise StopError(f"{name}:{line.number}: {'; '.join(line.problems)}")
            yield line.record


def _table(records: Sequence[TargetRecord], results: Sequence[CheckResult]) -> Table:
    table = Table("url", "status", "reason", "HTTP", "time", "error", box=None)
    for record, result in zip(records, results, strict=True):
        time = "" if result.response_time_s is None else f"{1000 * result.response_time_s:.0f} ms"
        http, error = str(result.http_status or ""), escape(result.error or "")
        table.add_row(without_credentials(record.url), result.status, result.reason or "", http, time, error)
    return table
