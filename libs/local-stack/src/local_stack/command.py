"""The command `local-stack up`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import attrs
import click

from local_stack.up import Options, summary
from local_stack.up import up as run_up
from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets import TargetRecord, without_credentials
from monitoring_runtime.commands import Duration
from monitoring_runtime.groups import examples


@click.command(
    epilog=examples(
        "local-stack up",
        "local-stack up --url https://example.org --interval 10s",
        "local-stack up --targets websites.csv --data ./data",
        "local-stack up --duration 20s --json",
    )
)
@click.option("--duration", type=Duration(), help="Stop after this long, like 20s. [default: at Ctrl-C]")
@click.option(
    "--interval", type=Duration(whole=True), default="5s", show_default=True, help="Check each website this often."
)
@click.option(
    "--producers", type=click.IntRange(1, 16), default=2, show_default=True, help="How many producers to run."
)
@click.option(
    "--url", "urls", multiple=True, metavar="URL", help="Monitor this website instead of the samples. Repeatable."
)
@click.option(
    "--targets",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Monitor the websites of this file instead: CSV or JSON Lines, as for dbadmin targets import, or YAML, as for "
    "dbadmin targets apply.",
)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Keep the data in this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison at the end as one JSON object.")
def up(
    duration: float | None,
    interval: int,
    producers: int,
    urls: tuple[str, ...],
    targets: Path | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Start everything, watch websites, and compare the rows with the checks that were due.

    Ends with status 1 when a row is missing or double, or a sample website is misjudged.
    """
    for url in urls:
        try:
            TargetRecord.parse({"url": url})
        except InvalidTargetError as error:
            raise click.UsageError(f"{without_credentials(url)}: {error}") from None
    result = run_up(Options(duration, interval, producers, urls, targets, data))
    click.echo(json.dumps(attrs.asdict(result)) if as_json else summary(result))
    sys.exit(0 if result.right else 1)
