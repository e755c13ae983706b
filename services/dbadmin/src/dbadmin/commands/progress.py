"""Progress on a terminal: of an import its lines, rate and what is left; of checks how many; of others what is done."""

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

from monitoring_core.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID

    from monitoring_core.result import CheckResult


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


@contextmanager
def doing(what: str, console: Console | None = None) -> Iterator[None]:
    """Show what is done until it is, if standard error is a terminal."""
    console = console or Console(stderr=True)
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        yield


@contextmanager
def check_progress(total: int, console: Console | None = None) -> Iterator[Callable[[CheckResult], None]]:
    """Show how many checks are done, if standard error is a terminal; the function is called with each result."""
    console = console or Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed} of {task.total} checked, {task.fields[not_up]} not up"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, not_up=0)

        def checked(result: CheckResult) -> None:
            not_up = progress.tasks[0].fields["not_up"] + (result.status is not Status.UP)
            progress.update(task, advance=1, not_up=not_up)

        yield checked
