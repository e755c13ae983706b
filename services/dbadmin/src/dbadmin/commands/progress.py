"""The progress of an import, on a terminal: lines, rate, and how much of the file is left."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import TaskID


class ImportProgress:
    """Shows the numbers that an import reports."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def read(self, count: int) -> None:
        """Show that more bytes were read."""
        self._progress.advance(self._task, count)

    def lines(self, count: int) -> None:
        """Show how many lines are staged, and how many a second on average."""
        seconds = self._progress.tasks[0].elapsed or 0.0
        rate = f"{count / seconds:,.0f}/s" if seconds > 0.1 else ""
        self._progress.update(self._task, lines=f"{count:,}", rate=rate)


@contextmanager
def import_progress(file: IO[bytes], console: Console | None = None) -> Iterator[ImportProgress]:
    """Show the progress of reading a file, if standard error is a terminal."""
    console = console or Console(stderr=True)
    about = os.fstat(file.fileno())
    size = about.st_size if stat.S_ISREG(about.st_mode) else None
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.fields[lines]} lines {task.fields[rate]}")]
    if size:
        columns += [BarColumn(), TaskProgressColumn(), DownloadColumn(), TimeRemainingColumn()]
    columns.append(TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield ImportProgress(progress, progress.add_task("", total=size, lines="0", rate=""))
