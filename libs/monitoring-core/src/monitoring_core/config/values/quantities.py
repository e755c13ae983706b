"""Durations and sizes as people write them."""

from __future__ import annotations

import datetime as dt
import re

from monitoring_core.config.faults import clipped

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(\d{1,9}) ?(B|KiB|MiB|GiB)", re.ASCII)


class Size(int):
    """A number of bytes, written like `64KiB`."""


def parse_duration(text: str) -> dt.timedelta:
    """Read `500ms`, `10s`, `5m`, `1.5h` or `1d`.

    Raises:
        ValueError: the text is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"must be a duration like 500ms, 10s, 5m or 1h, got {clipped(repr(text))}")
    return dt.timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def format_duration(duration: dt.timedelta) -> str:
    """A duration as people write it: `500 ms`, `60 s`, `36 h`."""
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    if seconds < 3600 or seconds % 3600:
        return f"{seconds:g} s"
    return f"{seconds / 3600:g} h"


def written_duration(duration: dt.timedelta) -> str:
    """A duration as the configuration file writes it, in the largest unit that leaves a whole number: `90d`, `1m`."""
    for unit, seconds in reversed(_UNITS.items()):
        if duration and not duration % dt.timedelta(seconds=seconds):
            return f"{duration // dt.timedelta(seconds=seconds)}{unit}"
    return f"{duration.total_seconds():g}s"


def parse_size(text: str) -> Size | None:
    """Read `100B`, `64KiB`, `1MiB` or `2GiB`; None when the text is not a size."""
    match = _SIZE.fullmatch(text)
    return Size(int(match[1]) * _SIZE_UNITS[match[2]]) if match else None


def format_size(size: int) -> str:
    """A size in the largest unit that leaves a whole number: `64 KiB`."""
    for unit, factor in reversed(_SIZE_UNITS.items()):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"
