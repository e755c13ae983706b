"""`dbadmin tokens`: what lets programs and people into status-svc."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table

from dbadmin.tokens import add_token, read_tokens, revoke_token
from monitoring_core.result import one_line
from monitoring_core.tokens import Scope
from monitoring_runtime.commands import Duration, config_options
from monitoring_runtime.groups import LazyGroup, examples
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    import datetime as dt

    from monitoring_core.config import Config


@click.group("tokens", cls=LazyGroup, epilog=examples("dbadmin tokens list"))
def tokens_group() -> None:
    """Tokens that let programs and people into status-svc."""


@tokens_group.command("add", epilog=examples("dbadmin tokens add prometheus", "dbadmin tokens add grafana --valid 90d"))
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([str(scope) for scope in Scope]),
    multiple=True,
    default=[str(Scope.READ)],
    show_default=True,
    help="What it allows. Repeatable.",
)
@click.option("--valid", "valid_s", type=Duration(whole=True), metavar="DURATION", help="How long. [default: always]")
@config_options
def add(config: Config, name: str, scopes: tuple[str, ...], valid_s: int | None) -> None:
    """Add a token and show it, this once: the database keeps a hash of it alone."""
    click.echo(add_token(config.database, one_line(name), sorted({Scope(scope) for scope in scopes}), valid_s))


@tokens_group.command("list", epilog=examples("dbadmin tokens list"))
@config_options
def list_tokens(config: Config) -> None:
    """Show all tokens, those that are not valid any more included."""
    table = Table("name", "scopes", "state", "added", "by", "expires", box=None)
    for token in read_tokens(config.database):
        moments = _shown(token["added_at"]), token["added_by"], _shown(token["expires_at"])
        table.add_row(token["name"], ", ".join(token["scopes"]), token["state"], *moments)
    print_table(table)


@tokens_group.command("revoke", epilog=examples("dbadmin tokens revoke prometheus"))
@click.argument("name")
@config_options
def revoke(config: Config, name: str) -> None:
    """Make a token invalid for good; status-svc lets it in for up to status.cache longer."""
    revoke_token(config.database, name)
    click.echo(f"token {name}: revoked")


def _shown(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "never"
