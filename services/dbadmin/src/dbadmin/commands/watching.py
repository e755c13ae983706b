"""`--watch`: the same question again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import click

from monitoring_core.errors import OutageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


def looks(ask: Callable[[], T], every_s: float) -> Iterator[T | OutageError]:
    """The answer again and again; while PostgreSQL is away, the error.

    Raises:
        OutageError: PostgreSQL is away at the first look: the address may be wrong.
    """
    answered = False
    while True:
        try:
            yield ask()
            answered = True
        except OutageError as error:
            if not answered:
                raise
            yield error
        time.sleep(every_s)


def changes(ask: Callable[[], T], every_s: float, seen: Callable[[T], object]) -> Iterator[T]:
    """The answer now, and again whenever it has changed. An outage is told once, and the watch goes on.

    Args:
        seen: what of an answer is shown; another change is none.

    Raises:
        OutageError: as `looks`.
    """
    known: object = None
    away = False
    for answer in looks(ask, every_s):
        if isinstance(answer, OutageError):
            if not away:
                click.echo(str(answer), err=True)
            away = True
            continue
        away = False
        if seen(answer) != known:
            yield answer
        known = seen(answer)
