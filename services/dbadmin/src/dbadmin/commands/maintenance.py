"""`dbadmin maintenance`: windows in which nothing is sent."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from dbadmin.windows import add_window, end_window, read_windows
from monitoring_alerting.windows import Window
from monitoring_core.result import one_line
from monitoring_runtime.commands import Duration, config_options, counted, label_option
from monitoring_runtime.groups import LazyGroup, examples
from monitoring_runtime.output import Output, output_option, plain, write_rows
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    from dbadmin.windows import Listed
    from monitoring_core.config import Config

# How far ahead the next time of a window is looked for.
_AHEAD = dt.timedelta(days=400)


@click.group("maintenance", cls=LazyGroup, epilog=examples("dbadmin maintenance list"))
def maintenance_group() -> None:
    """Windows in which changes of websites are stored and not sent."""


@maintenance_group.command(
    "add",
    epilog=examples(
        "dbadmin maintenance add --label team=shop --for 30m",
        "dbadmin maintenance add --all --from 2026-12-01T22:00 --for 2h",
        "dbadmin maintenance add --all --for 3h --every FREQ=WEEKLY --zone Asia/Tokyo",
    ),
)
@label_option("Targets with this label.")
@click.option("--all", "everything", is_flag=True, help="All targets.")
@click.option(
    "--from", "begin", metavar="MOMENT", help="When it begins, like 2026-12-01T22:00, in --zone. [default: now]"
)
@click.option(
    "--for", "length", type=Duration(whole=True), required=True, metavar="DURATION", help="How long it lasts."
)
@click.option("--zone", default="UTC", show_default=True, metavar="NAME", help="Time zone, like Europe/Berlin.")
@click.option("--every", metavar="RRULE", help="When it recurs (RFC 5545), like FREQ=WEEKLY;BYDAY=SU.")
@click.option("--note", metavar="TEXT", help="What it is for.")
@config_options
def add(
    config: Config,
    labels: dict[str, str],
    everything: bool,
    begin: str | None,
    length: int,
    zone: str,
    every: str | None,
    note: str | None,
) -> None:
    """Add a window: from now on, at another time, or again and again.

    What happens to matching websites within it is stored, and not sent. When it is over, what lasts is told at once.
    """
    if bool(labels) == everything:
        raise click.UsageError("give --label, or --all for all targets")
    begins_at = _moment(begin, zone)
    window = Window(
        id=0,
        match=labels,
        begins_at=begins_at,
        ends_at=begins_at + dt.timedelta(seconds=length),
        zone=zone,
        recurrence=every,
    )
    number = add_window(config.database, window, note and one_line(note))
    click.echo(
        f"maintenance window {number}: {'first ' if every else ''}from {_shown(begins_at)} to {_shown(window.ends_at)}"
    )


@maintenance_group.command("list", epilog=examples("dbadmin maintenance list", "dbadmin maintenance list -o json"))
@click.option("--over", is_flag=True, help="Also those that will hold no more.")
@output_option(Output.TABLE, Output.JSON)
@config_options
def list_windows(config: Config, over: bool, output: Output) -> None:
    """Show the windows that hold now or will, with when that is."""
    listed = [one for one in read_windows(config.database, _AHEAD) if over or one.holds_until or one.next_at]
    if output is Output.JSON:
        write_rows(map(plain, map(_row, listed)), (), output)
        return
    table = Table("id", "targets", "now", "next", "lasts", "every", "zone", "note", box=None, header_style="bold")
    for one in listed:
        window = one.window
        table.add_row(
            str(window.id),
            Text(", ".join(f"{name}={value}" for name, value in window.match.items()) or "all"),
            Text(f"until {_shown(one.holds_until)}" if one.holds_until else "", "bold yellow"),
            _shown(one.next_at) if one.next_at else "",
            str(window.ends_at - window.begins_at),
            Text(window.recurrence or ""),
            Text(window.zone),
            Text(one_line(one.note or "")),
        )
    if listed:
        print_table(table)
    click.echo(counted(len(listed), "maintenance window"), err=True)


@maintenance_group.command("end", epilog=examples("dbadmin maintenance end 7"))
@click.argument("window_id", type=click.IntRange(1), metavar="ID")
@config_options
def end(config: Config, window_id: int) -> None:
    """End a window now and for good; what lasts is told at once."""
    ended = end_window(config.database, window_id)
    click.echo(f"maintenance window {window_id}: {'ended' if ended else 'was ended before'}")


def _row(one: Listed) -> dict[str, object]:
    window = one.window
    return {
        "id": window.id,
        "match": dict(window.match),
        "begins_at": window.begins_at,
        "ends_at": window.ends_at,
        "zone": window.zone,
        "recurrence": window.recurrence,
        "ended_at": window.ended_at,
        "holds_until": one.holds_until,
        "next_at": one.next_at,
        "note": one.note,
        "added_by": one.added_by,
    }


def _moment(text: str | None, zone: str) -> dt.datetime:
    """A moment in UTC; a text without an offset is in the zone."""
    if text is None:
        return dt.datetime.now(dt.UTC).replace(microsecond=0)
    try:
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zoneinfo.ZoneInfo(zone))).astimezone(dt.UTC)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise click.UsageError(
            f"--from: {text!r} is no moment like 2026-12-01T22:00 in a time zone like Europe/Berlin"
        ) from None


def _shown(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
