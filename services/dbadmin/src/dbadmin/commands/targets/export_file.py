"""`dbadmin targets export`: all targets into a file."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbadmin.commands.targets.formats import by_ending, format_option
from dbadmin.targets.table import read_all
from monitoring_core.targets.files import write_targets
from monitoring_runtime.commands import config_options, counted
from monitoring_runtime.groups import examples
from monitoring_runtime.whole_file import whole_file

if TYPE_CHECKING:
    from monitoring_core.config import Config
    from monitoring_core.targets.files import FileFormat


@click.command(
    "export",
    epilog=examples("dbadmin targets export targets.jsonl", "dbadmin targets export --format csv > targets.csv"),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-")
@format_option
@config_options
def export_targets(config: Config, file: Path, file_format: FileFormat | None) -> None:
    """Write all targets to FILE (standard output when it is not given), so that importing them changes nothing.

    FILE is written as a whole or not at all.
    """
    file_format = file_format or by_ending(file)
    with whole_file(file) if str(file) != "-" else nullcontext(sys.stdout) as opened:
        count = write_targets(opened, file_format, read_all(config.database))
    click.echo(f"{counted(count, 'target')} written", err=True)
