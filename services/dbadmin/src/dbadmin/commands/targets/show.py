"""`dbadmin targets list`: targets in a table for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table

from dbadmin.commands.printing import print_table
from dbadmin.targets.table import read_all
from monitoring_core.targets import without_credentials
from monitoring_runtime.commands import config_options

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command("list")
@click.option("--active", is_flag=True, help="Only active targets.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@config_options
def list_targets(config: Config, active: bool, limit: int) -> None:
    """Show targets in a table."""
    table = Table("id", "url", "regexp", "active", "interval", "timeout", box=None)
    for record in read_all(config.database, active_only=active, limit=limit):
        interval = f"{record.check_interval_s} s" if record.check_interval_s else "default"
        timeout = f"{record.timeout_s:g} s" if record.timeout_s else "default"
        url = without_credentials(record.url)
        table.add_row(str(record.id), url, record.regexp or "", "yes" if record.active else "no", interval, timeout)
    print_table(table)
