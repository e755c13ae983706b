"""Messages of the topic as results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_core.codec import decode, encode_key
from monitoring_core.errors import DecodeError

if TYPE_CHECKING:
    from monitoring_core.result import CheckResult
    from monitoring_runtime.topics import Received


def decoded(message: Received) -> CheckResult | None:
    """The result in a message; None without one: consumers send such a message to the dead letters."""
    try:
        result = decode(message.value())
    except DecodeError:
        return None
    return result if message.key() == encode_key(result) else None
