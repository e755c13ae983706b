"""`dbadmin maintain`: partitions, roll-ups, incidents and retention, as far as they are due."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import click

from dbadmin.history.maintain import maintain
from monitoring_core.errors import MonitoringError
from monitoring_runtime.commands import Duration, config_options
from monitoring_runtime.groups import examples
from monitoring_runtime.stop import stop_on_signals

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(
    "maintain",
    epilog=examples(
        "dbadmin maintain --time-limit 10m",
        "dbadmin maintain --every 1m             where no timer begins it",
        "dbadmin maintain --since 2026-03-01     after rows were changed by hand",
    ),
)
@click.option("--time-limit", type=Duration(), help="Begin nothing more after this long, like 10m. [default: none]")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Compute all roll-ups from this day (UTC) on anew, as after results were changed by hand.",
)
@click.option(
    "--every",
    type=Duration(),
    help="Go on until SIGTERM or Ctrl-C, with this long between two runs, like 1m. A run that fails is told, and the "
    "next one comes. [default: one run]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line: step, text, seconds.")
@config_options
def maintain_command(
    config: Config, time_limit: float | None, since: dt.datetime | None, every: float | None, as_json: bool
) -> None:
    """Make partitions ahead, bring roll-ups and incidents up to date, drop what is too old: every few minutes.

    May run beside consumers and beside itself (the second has nothing to do), and may be killed: the next run goes on.
    Status 1 also when a third run in succession finds another at work that finishes no step meanwhile.
    """
    if every is None:
        _run(config, time_limit, since.replace(tzinfo=dt.UTC) if since else None, as_json)
        return
    if since:
        raise click.UsageError("--since is for one run: leave --every out")
    with stop_on_signals() as stop:
        while not stop.requested:
            try:
                _run(config, time_limit, None, as_json)
            except MonitoringError as error:
                click.echo(str(error), err=True)
            stop.wait(every)


def _run(config: Config, time_limit_s: float | None, since: dt.datetime | None, as_json: bool) -> None:
    for done in maintain(config.database, dt.datetime.now(dt.UTC), time_limit_s, since):
        if as_json:
            click.echo(json.dumps({"step": done.step, "text": done.text, "seconds": round(done.seconds, 3)}))
        else:
            click.echo(f"{done.text} ({done.seconds:.1f} s)")
