"""Printing for a person: lines, each as soon as its step is done, and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

_WIDE = 10_000


def print_lines(lines: Iterable[str]) -> None:
    """Print each line as soon as the iterable yields it."""
    for line in lines:
        click.echo(line)


def tell(line: str) -> None:
    """Show at once, apart from the output, what a command waits for."""
    click.echo(line, err=True)


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal; without a terminal, wide enough that nothing is cut off."""
    console = Console()
    (console if console.is_terminal else Console(width=_WIDE)).print(table)
