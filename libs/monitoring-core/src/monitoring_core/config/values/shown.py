"""Values as they appear in the text of a fault, and as they may stand in the configuration file."""

from __future__ import annotations

import datetime as dt
import json

from monitoring_core.config.faults import clipped
from monitoring_core.config.values.quantities import Size, format_duration, format_size, written_duration
from monitoring_core.config.values.secrets import Secret, SecretReference


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


def written(value: object) -> str:
    """A value as it may stand in the configuration file; of a secret, in brackets, where it comes from."""
    match value:
        case None:
            return ""
        case Secret() | SecretReference():
            return str(value)
        case dt.timedelta():
            return written_duration(value)
        case Size():
            return format_size(value).replace(" ", "")
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(written, value))}]"
        case dict():
            return json.dumps(value, ensure_ascii=False)
    return str(value)
