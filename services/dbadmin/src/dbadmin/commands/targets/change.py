"""`dbadmin targets set` and `remove`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import click

from dbadmin.commands.targets.fields import field_options, given, parsed
from dbadmin.targets.table import change, named, remove
from monitoring_core.targets import TargetRecord, without_credentials
from monitoring_runtime.commands import config_options, counted
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring_core.config import Config

_names = click.argument("names", nargs=-1, required=True, metavar="ID|URL...")
_SHOWN = 10
# What every target has.
_REQUIRED = ("id", "url", "active")
# What has named parts; and of it what has names that are the same in capitals.
_OBJECTS = ("headers", "labels", "expected_headers", "expected_json")
_HEADERS = ("headers", "expected_headers")


@click.command(
    "set",
    epilog=examples(
        "dbadmin targets set 7 --interval 30s --timeout 5s",
        "dbadmin targets set 7 8 9 --label team=shop --unset regexp",
        "dbadmin targets set 7 --unset labels.team --unset headers",
        "dbadmin targets set 7 --url https://new.example.org",
    ),
)
@_names
@click.option("--url", help="Its new URL; for one target alone.")
@field_options
@click.option(
    "--unset",
    multiple=True,
    metavar="FIELD[.NAME]",
    help="Give a field its default again, like timeout_s, or take away one label or header, like labels.team. "
    "Repeatable.",
)
@config_options
def set_targets(config: Config, names: tuple[str, ...], unset: tuple[str, ...], **values: object) -> None:
    """Change fields of these targets; of all that are named, or of none when one does not exist.

    Labels, headers, expected headers and expected JSON are added to those that a target has; one of the same name is
    replaced. Everything else takes the place of what was there, so regular expressions are given all at once. Producers
    take the change up within monitor.refresh_interval.
    """
    fields = given(values)
    if not fields and not unset:
        raise click.UsageError("nothing to set: name a field, like --timeout 5s, or --unset one")
    if "url" in fields and len(names) > 1:
        raise click.UsageError("--url: two targets cannot have the same")
    for name in unset:
        _check_unset(name)
    count = change(config.database, names, lambda record: _changed(record, fields, unset))
    same = len(set(names)) - count
    click.echo(f"{counted(count, 'target')} changed" + (f", {same:,} as before" if same > 0 else ""))


@click.command(
    "remove",
    epilog=examples("dbadmin targets remove 7", "dbadmin targets remove https://example.org --yes"),
)
@_names
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_options
def remove_targets(config: Config, names: tuple[str, ...], yes: bool) -> None:
    """Remove these targets; all that are named, or none when one does not exist.

    Their results stay, with the URL that was checked, until database.retention drops them.
    `dbadmin targets deactivate` stops the checks and keeps all of it.
    """
    if not yes:
        found = named(config.database, names)
        for record in found[:_SHOWN]:
            click.echo(f"  {record.id}  {without_credentials(record.url)}", err=True)
        if len(found) > _SHOWN:
            click.echo(f"  and {len(found) - _SHOWN:,} more", err=True)
        click.confirm(f"Remove {counted(len(found), 'target')} for good?", abort=True, err=True)
    click.echo(f"{counted(remove(config.database, names), 'target')} removed")


def _check_unset(name: str) -> None:
    field, dot, _ = name.partition(".")
    known = [known for known in attrs.fields_dict(TargetRecord) if known not in _REQUIRED]
    if field not in known:
        raise click.UsageError(f"--unset: {field} is none of {', '.join(known)}")
    if dot and field not in _OBJECTS:
        raise click.UsageError(f"--unset: {field} has no parts")


def _changed(record: TargetRecord, fields: dict[str, Any], unset: tuple[str, ...]) -> TargetRecord:
    """The target with the fields; what is unset goes first.

    Raises:
        click.UsageError: it could not be checked any more.
    """
    new = attrs.asdict(record)
    for name in unset:
        field, _, part = name.partition(".")
        new[field] = _without(field, new[field], [part]) or None if part else None
    for name in ("regexp", "forbidden_regexp"):
        if name in fields:
            new[f"further_{name}s"] = None
    for name, value in fields.items():
        new[name] = _without(name, new[name], value) | value if isinstance(value, dict) else value
    try:
        return parsed(new)
    except click.UsageError as error:
        raise click.UsageError(f"target {record.id}: {error.message}: nothing changed") from None


def _without(field: str, parts: dict[str, Any] | None, names: Iterable[str]) -> dict[str, Any]:
    """The named parts of a field but for these; of headers in capitals or not."""
    same = str.lower if field in _HEADERS else str
    gone = set(map(same, names))
    return {name: value for name, value in (parts or {}).items() if same(name) not in gone}
