"""`alert-svc ack`: somebody looks after an alert."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from alert_svc import wiring
from monitoring_core.result import one_line
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(epilog=examples("alert-svc ack 5f3a9c21", "alert-svc ack 5f3a9c21 --note 'the provider knows'"))
@click.argument("alert_id", metavar="ID")
@click.option("--note", metavar="TEXT", help="What there is to say about it.")
@click.option("--by", metavar="NAME", help="Who looks after it. [default: the user of this terminal]")
@config_options
def ack(config: Config, alert_id: str, note: str | None, by: str | None) -> None:
    """Note that somebody looks after an alert: nobody else is called. Of its ID, the first characters are enough."""
    row = wiring.alerts(config).acknowledge(alert_id, by or _user(), note and one_line(note))
    ended = ", but it has ended: see alert-svc list --open" if row["ended"] else ""
    click.echo(f"alert {row['alert_id']}: acknowledged by {row['acknowledged_by'] or 'nobody named'}{ended}")


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return None
