"""`alert-svc list`: the alerts, or how one came about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from alert_svc import wiring
from monitoring_core.clock import for_people
from monitoring_core.result import one_line
from monitoring_runtime.commands import config_options, counted
from monitoring_runtime.groups import examples
from monitoring_runtime.output import Output, output_option, plain, write_rows
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring_core.config import Config

_LINES = 100
# Of an ID; enough for `--why` and `ack`.
_SHOWN_ID = 12
_STYLES = {"firing": "bold red", "flapping": "bold red", "undetermined": "bold yellow", "suspected": "yellow"}


@click.command(
    "list",
    epilog=examples(
        "alert-svc list --open", "alert-svc list --why 5f3a9c21", "alert-svc list --open -o json | jq -r '.[].url'"
    ),
)
@click.option("--open", "only_open", is_flag=True, help="Only alerts that have not ended.")
@click.option("--why", metavar="ID", help="Every transition of one alert, with the results that it was decided on.")
@click.option(
    "--limit", type=click.IntRange(1), help=f"Show at most this many. [default: {_LINES} in a table, else all]"
)
@output_option(Output.TABLE, Output.JSON)
@config_options
def list_command(config: Config, only_open: bool, why: str | None, limit: int | None, output: Output) -> None:
    """The alerts, open ones first. Of an ID, its first characters are enough."""
    alerts = wiring.alerts(config)
    limit = limit or (_LINES if output is Output.TABLE else None)
    rows = alerts.way(why) if why else alerts.newest(only_open, limit)
    if output is Output.JSON:
        write_rows(map(plain, rows), (), output)
    elif why:
        _print_way(rows)
    else:
        _print_alerts(rows)


def _print_alerts(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="bold")
    for name in ("id", "state", "severity", "policy", "url", "since", "locations", "notes"):
        table.add_column(name, overflow="fold", no_wrap=name in ("id", "state", "since"))
    for row in rows:
        state = Text(row["state"], _STYLES.get(row["state"], ""))
        table.add_row(
            row["alert_id"][:_SHOWN_ID],
            state,
            *_texts(row["severity"], row["policy"], row["url"]),
            for_people(row["since"]),
            *_texts(", ".join(row["locations"]), "; ".join(_notes(row))),
        )
    if rows:
        print_table(table)
    click.echo(counted(len(rows), "alert"), err=True)


def _print_way(rows: list[dict[str, Any]]) -> None:
    first = rows[0]
    about = f"{first['alert_id']}  {first['policy']} ({first['kind']}, {first['severity']})  {first['url']}"
    click.echo(one_line(about, 2_000))
    for row in rows:
        click.echo(f"\n{for_people(row['at'])}  {row['before']} -> {row['state']}")
        for note in _notes(row):
            click.echo(f"  {one_line(note)}")
        for result in row["evidence"]:
            parts = (result["scheduled_at"], result["location"], result["status"], result.get("reason"))
            more = (result.get("http_status"), result.get("remote_address"), result.get("error"))
            click.echo(f"  {one_line(' '.join(str(part) for part in (*parts, *more) if part is not None))}")


def _notes(row: dict[str, Any]) -> Iterable[str]:
    if row["cause"]:
        yield row["cause"]
    if row["silenced_by"]:
        yield f"behind target {row['silenced_by']['target_id']}, {row['silenced_by']['name']}"
    if row["silenced_window"] is not None:
        yield f"in maintenance window {row['silenced_window']}"
    if row.get("step_s"):
        yield f"ends within {row['step_s'] // 86_400} days"
    if row.get("acknowledged_at"):
        by = f" by {row['acknowledged_by']}" if row["acknowledged_by"] else ""
        yield f"acknowledged{by}{': ' + row['note'] if row['note'] else ''}"


def _texts(*texts: str) -> Iterable[Text]:
    """Texts that no website can make anything else of."""
    return (Text(one_line(text)) for text in texts)
