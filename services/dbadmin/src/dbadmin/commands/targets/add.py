"""`dbadmin targets add`: one target from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dbadmin.commands.options import Duration
from dbadmin.targets.table import add
from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets import FAMILIES, METHODS, TargetRecord, fields_of_options
from monitoring_runtime.commands import config_options

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command("add")
@click.argument("url")
@click.option("--regexp", multiple=True, help="What the body must hold (RE2 syntax). Repeatable.")
@click.option("--forbidden-regexp", multiple=True, help="What it must not hold. Repeatable.")
@click.option("--interval", "check_interval_s", type=Duration(), help="How often it is checked, like 60s.")
@click.option("--timeout", "timeout_s", type=Duration(), help="The budget of one check, like 10s.")
@click.option(
    "--degraded-above", "degraded_above_s", type=Duration(), help="What is slower is up, and degraded, like 2s."
)
@click.option("--method", type=click.Choice(METHODS))
@click.option("--expected-status", help="Codes and ranges that count as up, like 200-299,301.")
@click.option(
    "--expected-header",
    "expected_headers",
    multiple=True,
    metavar="NAME:REGEXP",
    help="What a header of the answer must hold. Repeatable.",
)
@click.option(
    "--expected-json",
    nargs=2,
    multiple=True,
    metavar="PATH VALUE",
    help="What a JSON path (RFC 9535) finds in the body, in JSON or as plain text. Repeatable.",
)
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Repeatable.")
@click.option(
    "--secret-header", "secret_headers", multiple=True, metavar="NAME", help="One that stays with its host. Repeatable."
)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@click.option("--body", help="What a POST sends.")
@click.option(
    "--client-certificate", metavar="NAME", help="A file in monitor.client_certificate_directory of the producers."
)
@click.option("--follow-redirects/--no-follow-redirects", default=None)
@click.option("--verify-tls/--no-verify-tls", default=None)
@click.option("--connect-to", metavar="HOST[:PORT]", help="Where to connect in place of the host of URL.")
@click.option(
    "--address-family", type=click.Choice(list(FAMILIES)), help="Which addresses to connect to.  [default: both]"
)
@click.option("--inactive", is_flag=True, help="Do not check it yet.")
@config_options
def add_target(config: Config, inactive: bool, **values: Any) -> None:
    """Add the target URL, and say its id. One that is there already is left alone, with status 1."""
    if (interval := values["check_interval_s"]) and interval.is_integer():
        values["check_interval_s"] = int(interval)
    try:
        record = TargetRecord.parse(fields_of_options(values) | {"active": not inactive})
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except InvalidTargetError as error:
        raise click.UsageError("; ".join(error.problems)) from None
    click.echo(f"target {add(config.database, record)} added")
