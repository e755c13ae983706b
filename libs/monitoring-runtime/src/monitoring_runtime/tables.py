"""Tables for a person. It needs the extra `tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

_WIDE = 10_000


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal; without a terminal, wide enough that nothing is cut off."""
    console = Console()
    (console if console.is_terminal else Console(width=_WIDE)).print(table)
