"""The options that commands share."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

policies_option = click.option(
    "--policies",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="MONITORING_POLICIES",
    default=Path("/etc/monitoring/alerts.yaml"),
    metavar="FILE",
    help="The alert policies. [default: $MONITORING_POLICIES, else /etc/monitoring/alerts.yaml]",
)


class Moment(click.ParamType[dt.datetime]):
    """A moment like 2026-11-24T10:00:00Z; without an offset it is UTC."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """The moment in UTC."""
        try:
            moment = dt.datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a moment like 2026-11-24T10:00:00Z", param, ctx)
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
