"""`dbadmin targets history`: who changed a target, when, and what it was before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from dbadmin.targets.history import read_history
from monitoring_core.clock import for_people
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples
from monitoring_runtime.tables import print_table

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(
    "history",
    epilog=examples("dbadmin targets history 7", "dbadmin targets history https://example.org"),
)
@click.argument("name", metavar="ID|URL")
@config_options
def show_history(config: Config, name: str) -> None:
    """Show who changed a target, when, and what each changed field was before; of a deleted target by its ID.

    Values of headers, bodies and the user name and password of a URL are not kept.
    """
    table = Table("when", "who", "with", "change", "before", box=None)
    for change in read_history(config.database, name):
        when = for_people(change.changed_at)
        before = ", ".join(f"{field.removeprefix('amc_')}: {_shown(was)}" for field, was in change.before.items())
        table.add_row(when, change.changed_by, change.program, change.change, before)
    print_table(table)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
