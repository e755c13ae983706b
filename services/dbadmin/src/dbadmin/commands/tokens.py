"""`dbadmin tokens`: what lets programs and people into status-svc."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from dbadmin.tokens import add_token, read_tokens, read_writes, revoke_token
from monitoring_core.clock import for_people
from monitoring_core.result import one_line
from monitoring_core.tokens import Scope
from monitoring_runtime.commands import Duration, Since, config_options, counted
from monitoring_runtime.groups import LazyGroup, examples
from monitoring_runtime.output import Output, output_option, write_rows
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    import datetime as dt

    from monitoring_core.config import Config

_LINES = 100
_WRITTEN = (
    "id",
    "written_at",
    "token",
    "operation",
    "subject",
    "target_id",
    "status",
    "location",
    "idempotency_key",
    "account",
)


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


@tokens_group.command(
    "writes",
    epilog=examples(
        "dbadmin tokens writes --since 7d",
        "dbadmin tokens writes --target 7 --token deploy",
        "dbadmin tokens writes --since 2026-11-01 -o csv > writes.csv",
    ),
)
@click.option("--since", type=Since(), metavar="MOMENT", help="How long ago, or a moment. [default: all that is kept]")
@click.option("--token", metavar="NAME", help="Only what was written with the token of this name.")
@click.option("--target", "target_id", type=click.IntRange(1), metavar="ID", help="Only to this target and its alerts.")
@click.option(
    "--limit", type=click.IntRange(1), help=f"Show at most this many. [default: {_LINES} in a table, else all]"
)
@output_option(Output.TABLE, Output.JSON, Output.CSV)
@config_options
def writes(
    config: Config,
    since: dt.datetime | None,
    token: str | None,
    target_id: int | None,
    limit: int | None,
    output: Output,
) -> None:
    """Show what was written through the API of status-svc, and with which token; the newest first.

    What a target was before, `dbadmin targets history` shows.
    """
    limit = limit or (_LINES if output is Output.TABLE else None)
    rows = read_writes(config.database, since, token, target_id, limit)
    if output is not Output.TABLE:
        write_rows(rows, _WRITTEN, output)
        return
    listed = list(rows)
    table = Table("when", "token", "what", "to", "target", "answer", box=None, header_style="bold")
    for row in listed:
        texts = (row["token"], row["operation"], row["subject"], str(row["target_id"] or ""), str(row["status"]))
        table.add_row(_shown(row["written_at"]), *map(Text, texts))
    if listed:
        print_table(table)
    more = "; --limit N shows more" if len(listed) == limit else ""
    click.echo(f"{counted(len(listed), 'write')}{more}", err=True)


def _shown(moment: dt.datetime | None) -> str:
    return for_people(moment) if moment else "never"
