"""Printing for a person: lines, each as soon as its step is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable


def print_lines(lines: Iterable[str]) -> None:
    """Print each line as soon as the iterable yields it."""
    for line in lines:
        click.echo(line)


def tell(line: str) -> None:
    """Show at once, apart from the output, what a command waits for."""
    click.echo(line, err=True)
