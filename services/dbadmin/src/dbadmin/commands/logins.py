"""`dbadmin logins`: people who have logged in at status-svc."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbadmin.logins import end_logins
from monitoring_core.tables import EVERYBODY
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import LazyGroup, examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.group("logins", cls=LazyGroup, epilog=examples("dbadmin logins end ada"))
def logins_group() -> None:
    """People who have logged in at status-svc (status.oidc_issuer)."""


@logins_group.command("end", epilog=examples("dbadmin logins end ada", "dbadmin logins end --everybody"))
@click.argument("who", required=False)
@click.option("--everybody", is_flag=True, help="All logins of all people.")
@config_options
def end(config: Config, who: str | None, everybody: bool) -> None:
    """End all logins of somebody in all browsers.

    WHO is `who` in the log of status-svc. It takes up to status.cache, and ten minutes for a page that is open. Whoever
    must not come in again, lock out at the provider first.
    """
    if bool(who) == everybody:
        raise click.UsageError("Give the name of somebody, or --everybody.")
    end_logins(config.database, who or EVERYBODY)
    click.echo(f"logins of {'everybody' if everybody else who}: ended")
