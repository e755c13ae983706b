"""The format of a file of targets: the one of the option, or else the one that the file's name ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitoring_core.targets.files import FileFormat

if TYPE_CHECKING:
    from pathlib import Path

format_option = click.option(
    "--format",
    "file_format",
    type=click.Choice(list(FileFormat), case_sensitive=False),
    help="[default: by ending, .csv or else JSON Lines]",
)


def by_ending(file: Path) -> FileFormat:
    """CSV for a file whose name ends with .csv, else JSON Lines.

    Raises:
        UsageError: its name is that of YAML.
    """
    if file.suffix.lower() in (".yaml", ".yml"):
        raise click.UsageError(f"{file} is for dbadmin targets apply: here it is CSV or JSON Lines")
    return FileFormat.CSV if file.suffix.lower() == ".csv" else FileFormat.JSONL
