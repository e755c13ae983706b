"""`alert-svc backtest`: what policies would have told on the results that are stored."""

from __future__ import annotations

import datetime as dt
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from alert_svc import wiring
from alert_svc.backtest.alerts import Alert, Change, alerts_of, differences
from alert_svc.backtest.run import Backtest
from alert_svc.commands.options import policies_option
from monitoring_alerting.policies import load_policies
from monitoring_core.clock import to_ms
from monitoring_core.result import one_line
from monitoring_core.result_lines import to_line
from monitoring_runtime.commands import Since, config_options, counted, label_option
from monitoring_runtime.groups import examples
from monitoring_runtime.output import Output, output_option
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alert_svc.backtest.alerts import Difference
    from monitoring_core.config import Config

_LINES = 100
_IN_FORCE = "in force"


class Report(Struct):
    """What is printed for a program."""

    since: dt.datetime
    until: dt.datetime
    targets: int
    against: str
    totals: dict[str, int]
    alerts: list[dict[str, Any]]
    fewer: list[dict[str, Any]]


@click.command(
    epilog=examples(
        "alert-svc backtest --policies new.yaml --since 30d",
        "alert-svc backtest --policies new.yaml --against alerts.yaml",
        "alert-svc backtest --policies new.yaml --since 30d -o json | jq .totals",
    )
)
@policies_option
@click.option(
    "--since", type=Since(), default="30d", show_default=True, metavar="MOMENT", help="How long ago, or a moment."
)
@click.option("--until", type=Since(), default="0s", metavar="MOMENT", help="Not after that. [default: now]")
@label_option("Targets with this label.")
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Compare with these policies on the same results. [default: with what alert-svc told]",
)
@output_option(Output.TABLE, Output.JSON)
@config_options
def backtest(
    config: Config,
    policies: Path,
    since: dt.datetime,
    until: dt.datetime,
    labels: dict[str, str],
    against: Path | None,
    output: Output,
) -> None:
    """What these policies would have told of today's targets on the results that are stored.

    Results count in the order in which they finished. Deciding begins at --since and knows nothing from before.
    """
    if since >= until:
        raise click.UsageError("--since must be before --until")
    all_policies = [load_policies(file) for file in (policies, against) if file]
    open_history = wiring.history(config)
    history = open_history()
    targets = history.targets(labels)
    period = to_ms(since), to_ms(until)
    with _progress() as tell:
        told = Backtest(open_history, all_policies, targets, period).run(os.cpu_count() or 1, tell)
    windows = history.windows()
    if not against:
        told.append(history.told(targets, period))
    alerts, others = (alerts_of(some, windows) for some in told)
    changes, fewer = differences(alerts, others)
    totals, compared = _totals(alerts, changes, fewer), str(against) if against else _IN_FORCE
    if output is Output.JSON:
        rows = [_row(one) | _change(change) for one, change in zip(alerts, changes, strict=True)]
        left = [_row(one) for one in fewer]
        click.echo(to_line(Report(since, until, len(targets), compared, totals, rows, left)))
    else:
        _print(alerts, changes, fewer)
        click.echo(", ".join(f"{name.replace('_', ' ')}: {number:,}" for name, number in totals.items()))
        click.echo(f"{counted(len(targets), 'target')}, compared with {compared}", err=True)


def _totals(alerts: Sequence[Alert], changes: Sequence[Difference], fewer: Sequence[Alert]) -> dict[str, int]:
    told = [one for one in alerts if not one.suppressed]
    return {
        "alerts": len(alerts),
        "told": len(told),
        "in_windows": sum(one.window is not None for one in alerts),
        "behind_parents": sum(one.parent is not None for one in alerts),
        "flapping": sum(one.flapping for one in told),
        **{
            str(name): sum(
                one.change is name for alert, one in zip(alerts, changes, strict=True) if not alert.suppressed
            )
            for name in Change
        },
        "fewer": len(fewer),
    }


def _row(alert: Alert) -> dict[str, Any]:
    lasted_s = None if alert.ended_at is None else (alert.ended_at - alert.since).total_seconds()
    return {
        "alert_id": alert.alert_id,
        "target_id": alert.target_id,
        "url": alert.url,
        "policy": alert.policy,
        "kind": alert.kind,
        "severity": alert.severity,
        "state": alert.state,
        "since": alert.since,
        "told_at": alert.told_at,
        "ended_at": alert.ended_at,
        "lasted_s": lasted_s,
        "flapping": alert.flapping,
        "silenced_window": alert.window,
        "silenced_by": alert.parent,
    }


def _change(difference: Difference) -> dict[str, Any]:
    return {"change": str(difference.change), "by_s": difference.by_s}


def _print(alerts: Sequence[Alert], changes: Sequence[Difference], fewer: Sequence[Alert]) -> None:
    table = Table(box=None, header_style="bold")
    for name in ("told at (UTC)", "lasted", "state", "policy", "url", "change", "notes"):
        table.add_column(name, overflow="fold", no_wrap=name in ("told at (UTC)", "lasted", "state"))
    lines = [(one, _words(change)) for one, change in zip(alerts, changes, strict=True)]
    lines += [(one, "fewer") for one in fewer]
    for one, change in lines[:_LINES]:
        lasted = "still open" if one.ended_at is None else str(one.ended_at - one.since).split(".")[0]
        notes = [f"in maintenance window {one.window}"] if one.window is not None else []
        notes += [f"behind target {one.parent.target_id}, {one.parent.name}"] if one.parent else []
        notes += ["flapping"] if one.flapping else []
        cells = (f"{one.told_at:%Y-%m-%d %H:%M:%S}", lasted, one.state, one.policy, one.url, change, "; ".join(notes))
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    if lines:
        print_table(table)
    if len(lines) > _LINES:
        click.echo(f"and {len(lines) - _LINES:,} more: -o json shows all", err=True)


def _words(difference: Difference) -> str:
    if difference.change in (Change.SAME, Change.MORE):
        return str(difference.change)
    return f"{dt.timedelta(seconds=round(difference.by_s))} {difference.change}"


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """Show which share is done, if standard error is a terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share: progress.update(task, completed=share)
