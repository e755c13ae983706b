"""Values as they appear in the text of a fault."""

from __future__ import annotations

import datetime as dt

from monitoring_core.config.faults import clipped
from monitoring_core.config.values.quantities import Size, format_duration, format_size


def shown(value: object) -> str:
    """A value in the words of the configuration file, bounded in length."""
    match value:
        case dt.timedelta():
            return format_duration(value)
        case Size():
            return format_size(value)
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
    return clipped(repr(value))
