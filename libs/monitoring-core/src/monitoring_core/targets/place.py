"""Where a website is connected to, when that is not what its URL says."""

from __future__ import annotations

import ipaddress
import re

MAX_PLACE_LENGTH = 260
# The addresses that are connected to, by the version of IP.
FAMILIES = {"ipv4": 4, "ipv6": 6}

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_PLACE = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[1-9]\d{0,4}))?", re.ASCII)


def parse_place(text: str) -> tuple[str, int | None]:
    """Host and port (None for that of the URL) of a text like `origin.example.org` or `[2001:db8::7]:8443`.

    Raises:
        ValueError: it is none.
    """
    if is_ipv6(text):
        return text, None
    found = _PLACE.fullmatch(text)
    if found and int(found["port"] or 1) <= 65_535:
        host = found["six"] or found["name"]
        if is_ipv6(host) if found["six"] else _NAME.fullmatch(host):
            return host, int(found["port"]) if found["port"] else None
    raise ValueError(f"must be a host, perhaps with a port, like origin.example.org:8443, got {text[:100]!r}")


def is_ipv6(text: str) -> bool:
    """Whether a text is an IPv6 address."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text
