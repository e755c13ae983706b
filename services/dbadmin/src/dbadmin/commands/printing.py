"""Tables for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

_WIDE = 10_000


def print_table(table: Table) -> None:
    """Print it as wide as the terminal, or with nothing cut where another program reads it."""
    console = Console()
    (console if console.is_terminal else Console(width=_WIDE)).print(table)
