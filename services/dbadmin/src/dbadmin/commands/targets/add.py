"""`dbadmin targets add`: one target from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbadmin.commands.options import Duration
from dbadmin.targets.table import add
from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets import FAMILIES, METHODS, TargetRecord
from monitoring_runtime.commands import config_options

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command("add")
@click.argument("url")
@click.option("--regexp", help="What the body must hold (RE2 syntax).")
@click.option("--forbidden-regexp", help="What the body must not hold (RE2 syntax).")
@click.option("--interval", "check_interval_s", type=Duration(), help="How often it is checked, like 60s.")
@click.option("--timeout", "timeout_s", type=Duration(), help="The budget of one check, like 10s.")
@click.option("--method", type=click.Choice(METHODS))
@click.option("--expected-status", help="Codes and ranges that count as up, like 200-299,301.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Repeatable.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@click.option("--body", help="What a POST sends.")
@click.option("--follow-redirects/--no-follow-redirects", default=None)
@click.option("--verify-tls/--no-verify-tls", default=None)
@click.option("--connect-to", metavar="HOST[:PORT]", help="Where to connect in place of the host of URL.")
@click.option(
    "--address-family", type=click.Choice(list(FAMILIES)), help="Which addresses to connect to.  [default: both]"
)
@click.option("--inactive", is_flag=True, help="Do not check it yet.")
@config_options
def add_target(
    config: Config, headers: tuple[str, ...], labels: tuple[str, ...], inactive: bool, **values: object
) -> None:
    """Add the target URL, and say its id. One that is there already is left alone, with status 1."""
    fields = {name: value for name, value in values.items() if value is not None} | {"active": not inactive}
    if (interval := fields.get("check_interval_s")) and isinstance(interval, float) and interval.is_integer():
        fields["check_interval_s"] = int(interval)
    fields |= _pairs("headers", headers, ":") | _pairs("labels", labels, "=")
    try:
        record = TargetRecord.parse(fields)
    except InvalidTargetError as error:
        raise click.UsageError("; ".join(error.problems)) from None
    click.echo(f"target {add(config.database, record)} added")


def _pairs(name: str, texts: tuple[str, ...], sign: str) -> dict[str, dict[str, str]]:
    if bad := [text for text in texts if sign not in text]:
        raise click.UsageError(f"--{name[:-1]}: must be NAME{sign}VALUE, of which {len(bad)} has no {sign!r}")
    pairs = (text.partition(sign) for text in texts)
    return {name: {key.strip(): value.strip() for key, _, value in pairs}} if texts else {}
