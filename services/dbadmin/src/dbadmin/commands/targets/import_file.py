"""`dbadmin targets import`: the targets of a file into the database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbadmin.commands.progress import import_progress
from dbadmin.commands.targets.formats import by_ending, format_option
from dbadmin.targets.importing import Import, ImportCounts
from dbadmin.targets.staging import staging
from monitoring_core.targets.lines import Lines
from monitoring_runtime.commands import config_options, counted
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config
    from monitoring_core.targets.files import FileFormat


@click.command(
    "import",
    epilog=examples(
        "dbadmin targets import websites.csv --dry-run",
        "dbadmin targets import websites.csv --deactivate-missing",
        "dbadmin targets import - < websites.jsonl",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@format_option
@click.option("--dry-run", is_flag=True, help="Check everything, also against the table, and change nothing.")
@click.option("--deactivate-missing", is_flag=True, help="Deactivate the targets that FILE does not have.")
@config_options
def import_targets(
    config: Config, file: Path, file_format: FileFormat | None, dry_run: bool, deactivate_missing: bool
) -> None:
    """Add or update the targets of FILE (- for standard input): CSV with a header, or JSON Lines.

    A line with an id updates that target, one without the target of its URL. All lines are taken, or none. Of bad lines
    the first hundred are shown, and how many there are.
    """

    def report(number: int, problem: str) -> None:
        click.echo(f"{file}:{number}: {problem}", err=True)

    with click.open_file(str(file), "rb") as opened, import_progress(opened) as progress:
        rows = staging(Lines(opened, progress.read), file_format or by_ending(file))
        counts = Import(report, progress.lines, dry_run, deactivate_missing).run(config.database, rows)
    if counts.bad:
        click.echo(f"{counted(counts.read, 'line')} read, {counts.bad:,} bad, nothing changed", err=True)
        sys.exit(1)
    click.echo(_summary(counts, dry_run, deactivate_missing))


def _summary(counts: ImportCounts, dry_run: bool, deactivate_missing: bool) -> str:
    done = f"{counts.added:,} added, {counts.updated:,} updated, {counts.unchanged:,} unchanged"
    done += f", {counts.deactivated:,} deactivated" if deactivate_missing else ""
    return f"{counted(counts.read, 'line')} read: {done}{' (dry run: nothing was written)' if dry_run else ''}"
