"""Options of the form NAME=VALUE, which may be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitoring_core.targets.options import pairs as _pairs

if TYPE_CHECKING:
    from collections.abc import Sequence


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """The values by name of all uses of an option.

    Raises:
        click.UsageError: one of them has no =.
    """
    try:
        return _pairs(option, texts, "=")
    except ValueError as error:
        raise click.UsageError(str(error)) from None
