"""JSON of PostgreSQL's, which takes more than Python does: one row must not keep others from being read."""

from __future__ import annotations

import json
from typing import Any

from monitoring_core.targets.expectations import is_nested_deeply

# What stands for a value that cannot be read. It is no list and no object, so whoever expects one finds it wrong.
UNREADABLE = "JSON that is nested too deeply, or has a number of too many digits"


def read_json(text: str | bytes) -> Any:
    """The value that a text of PostgreSQL's has, or UNREADABLE."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return UNREADABLE
    return UNREADABLE if is_nested_deeply(value) else value
