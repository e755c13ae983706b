"""The fields of a target: as options of `add` and `set`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets import FAMILIES, METHODS, TargetRecord, fields_of_options
from monitoring_runtime.commands import Duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OPTIONS = (
    click.option("--regexp", multiple=True, help="What the body must hold (RE2 syntax). Repeatable."),
    click.option("--forbidden-regexp", multiple=True, help="What it must not hold. Repeatable."),
    click.option(
        "--interval", "check_interval_s", type=Duration(whole=True), help="How often it is checked, like 60s."
    ),
    click.option("--timeout", "timeout_s", type=Duration(), help="The budget of one check, like 10s."),
    click.option(
        "--degraded-above", "degraded_above_s", type=Duration(), help="What is slower is up, and degraded, like 2s."
    ),
    click.option("--method", type=click.Choice(METHODS)),
    click.option("--expected-status", help="Codes and ranges that count as up, like 200-299,301."),
    click.option(
        "--expected-header",
        "expected_headers",
        multiple=True,
        metavar="NAME:REGEXP",
        help="What a header of the answer must hold. Repeatable.",
    ),
    click.option(
        "--expected-json",
        nargs=2,
        multiple=True,
        metavar="PATH VALUE",
        help="What a JSON path (RFC 9535) finds in the body, in JSON or as plain text. Repeatable.",
    ),
    click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Repeatable."),
    click.option(
        "--secret-header",
        "secret_headers",
        multiple=True,
        metavar="NAME",
        help="One that stays with its host. Repeatable.",
    ),
    click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Repeatable."),
    click.option("--body", help="What a POST sends."),
    click.option(
        "--client-certificate", metavar="NAME", help="A file in monitor.client_certificate_directory of the producers."
    ),
    click.option("--follow-redirects/--no-follow-redirects", default=None),
    click.option("--verify-tls/--no-verify-tls", default=None),
    click.option("--connect-to", metavar="HOST[:PORT]", help="Where to connect in place of the host of URL."),
    click.option(
        "--address-family", type=click.Choice(list(FAMILIES)), help="Which addresses to connect to.  [default: both]"
    ),
)


def field_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each field that one target may say otherwise than the configuration."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the options state, by attribute of TargetRecord; what was not given is left out.

    Raises:
        click.UsageError: an option is not as it must be.
    """
    try:
        return fields_of_options(values)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def parsed(fields: Mapping[str, Any]) -> TargetRecord:
    """The target with these fields.

    Raises:
        click.UsageError: it can never be checked as it stands; the text has every problem.
    """
    try:
        return TargetRecord.parse(fields)
    except InvalidTargetError as error:
        raise click.UsageError("; ".join(error.problems)) from None
