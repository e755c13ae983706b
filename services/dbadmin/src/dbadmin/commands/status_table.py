"""The status of websites as a table and a sentence for a person."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from monitoring_core.targets import without_credentials
from monitoring_runtime.commands import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.status import Answer, WebsiteStatus

_STYLES = {"up": "green", "down": "bold red", "unknown": "yellow", "stale": "bold yellow"}
# Each unit is used below so many seconds.
_UNITS = (("s", 1, 120), ("m", 60, 7_200), ("h", 3600, 172_800))


def status_table(answer: Answer) -> Table:
    """A line for each website; location and labels have a column only where they tell something."""
    located, labelled = answer.locations > 1, any(one.labels for one in answer.shown)
    names = ["id", "url", *["location"] * located, "status", "for", "checked", "why", *["labels"] * labelled]
    table = Table(box=None, header_style="bold")
    for name in names:
        # A word that is cut in two is hard to read, a URL is not.
        table.add_column(name, overflow="fold", no_wrap=name in ("id", "status", "for", "checked"))
    now = dt.datetime.now(dt.UTC)
    for one in answer.shown:
        cells = dict(_cells(one, now))
        table.add_row(*(cells[name] for name in names))
    return table


def _cells(one: WebsiteStatus, now: dt.datetime) -> Iterator[tuple[str, Text]]:
    kind = "stale" if one.stale else one.status
    yield "id", Text(str(one.target_id))
    yield "url", Text(without_credentials(one.url))
    yield "location", Text(one.location or "")
    yield "status", Text(kind, _STYLES.get(kind, ""))
    yield "for", Text(duration(now - one.since) if one.since else "")
    yield "checked", Text(f"{duration(one.age)} ago" if one.age is not None else "never")
    yield "why", Text(_why(one))
    yield "labels", Text(", ".join(f"{name}={value}" for name, value in (one.labels or {}).items()))


def _why(one: WebsiteStatus) -> str:
    """What the newest check found, in a few words."""
    if one.stale:
        return "never checked" if one.checked_at is None else one.error or "no newer result"
    if one.status == "up":
        took = "" if one.response_time_s is None else f"{1000 * one.response_time_s:.0f} ms"
        return ", ".join(filter(None, (str(one.http_status or ""), took)))
    return f"{one.reason}: {one.error}" if one.error else one.reason or ""


def summary(answer: Answer) -> str:
    """How many websites there are of each kind, and how to see those that are not shown."""
    if not answer.targets:
        return "no active target; `dbadmin targets add URL` and `targets import FILE` add some"
    where = f" at {answer.locations} locations" if answer.locations > 1 else ""
    kinds = ", ".join(f"{getattr(answer, kind):,} {kind}" for kind in ("down", "stale", "unknown", "up"))
    cut = f"; {len(answer.shown)} of {answer.found:,} shown, --limit N shows more"
    cut = cut if len(answer.shown) < answer.found else ""
    return f"{counted(answer.targets, 'website')}{where}: {kinds}{cut}"


def duration(span: dt.timedelta) -> str:
    """A time span in its largest unit: `90 s`, `5 m`, `3 h`, `12 d`."""
    seconds = max(0.0, span.total_seconds())
    for unit, factor, below in _UNITS:
        if seconds < below:
            return f"{seconds / factor:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
