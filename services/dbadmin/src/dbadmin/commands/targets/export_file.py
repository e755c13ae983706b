"""`dbadmin targets export`: all targets into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from dbadmin.commands.targets.formats import by_ending, format_option
from dbadmin.targets.table import read_all
from monitoring_core.targets.files import write_targets
from monitoring_runtime.commands import config_options, counted
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config
    from monitoring_core.targets.files import FileFormat


@click.command(
    "export",
    epilog=examples("dbadmin targets export targets.jsonl", "dbadmin targets export --format csv > targets.csv"),
)
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@format_option
@config_options
def export_targets(config: Config, file: TextIO, file_format: FileFormat | None) -> None:
    """Write all targets to FILE (standard output when it is not given), so that importing them changes nothing."""
    count = write_targets(file, file_format or by_ending(Path(file.name)), read_all(config.database))
    click.echo(f"{counted(count, 'target')} written", err=True)
