"""Options of the form NAME=VALUE, which may be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


def pairs(option: str, texts: Sequence[str], sign: str) -> dict[str, str]:
    """The values by name of all uses of an option; none of them is repeated in an error, because it may be a secret."""
    if bad := [text for text in texts if sign not in text]:
        raise click.UsageError(f"{option}: must be NAME{sign}VALUE, of which {len(bad)} has no {sign!r}")
    parts = (text.partition(sign) for text in texts)
    return {name.strip(): value.strip() for name, _, value in parts}
