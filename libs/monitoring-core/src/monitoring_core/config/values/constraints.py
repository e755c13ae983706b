"""What a value must fulfil beyond its type."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Protocol

import attrs

from monitoring_core.config.values.shown import shown

_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/@]+)):(\d{1,5})", re.ASCII)


class Constraint(Protocol):
    """What a value must fulfil beyond its type, as a part of an `Annotated` type."""

    def fault(self, value: Any) -> str | None:
        """What is wrong with `value`, or None."""
        ...


@attrs.frozen
class Between:
    """A number, duration or size within inclusive bounds."""

    low: Any
    high: Any

    def fault(self, value: Any) -> str | None:
        if self.low <= value <= self.high:
            return None
        return f"must be from {shown(self.low)} to {shown(self.high)}, got {shown(value)}"


@attrs.frozen
class Matching:
    """Text that matches a pattern as a whole."""

    pattern: str
    meaning: str

    def fault(self, value: str) -> str | None:
        return None if re.fullmatch(self.pattern, value) else f"must be {self.meaning}, got {shown(value)}"


@attrs.frozen
class Network:
    """An IP network like 10.0.0.0/8, or one address."""

    def fault(self, value: str) -> str | None:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            return f"must be a network like 10.0.0.0/8 or fe80::/10, got {shown(value)}: {error}"
        return None


@attrs.frozen
class HostPort:
    """A host and a port like example.org:443 or [2001:db8::1]:443."""

    def fault(self, value: str) -> str | None:
        try:
            split_host_port(value)
        except ValueError:
            return f"must be a host and a port like example.org:443, got {shown(value)}"
        return None


def split_host_port(text: str) -> tuple[str, int]:
    """The host (an IPv6 address without its brackets) and the port of `example.org:443`.

    Raises:
        ValueError: the text is not a host and a port.
    """
    match = _HOST_PORT.fullmatch(text)
    if not match or not 1 <= int(match[3]) <= 65_535:
        raise ValueError(f"not a host and a port: {text}")
    return match[1] or match[2], int(match[3])
