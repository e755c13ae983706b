"""Networks that no check may reach, and failures that are this machine's own."""

from __future__ import annotations

import errno
import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Errors of system calls that mean: this machine has run out of something, or has no network at all.
OWN_FAULTS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})


_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


class DeniedNetworks:
    """The networks that no check connects to."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self.holding = lru_cache(maxsize=10_000)(self._holding)

    def _holding(self, address: str) -> str | None:
        """The denied network that holds an IP address, None when it is allowed."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        meant = _meant(ip)
        return next((str(network) for network in self._networks if ip in network or meant in network), None)


def _meant(ip: _Ip) -> _Ip:
    """The address that is reached in the end, as the engine native has it.

    One of IPv4 may be written in IPv6, mapped (RFC 4291, section 2.5.5.2) or to be translated (RFC 6052); and none at
    all stands for this machine.
    """
    if isinstance(ip, ipaddress.IPv6Address):
        translated = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _TRANSLATED else None
        ip = ip.ipv4_mapped or translated or ip
    if ip.is_unspecified:
        return ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return ip


def denied(address: str, network: str) -> str:
    """Why there was no connection, for a person."""
    return f"{address} is in {network}, which monitor.denied_networks forbids"


def place(host: str, port: int) -> str:
    """Host and port, for a person."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def told(attempts: Sequence[tuple[str, str]]) -> str:
    """What came of each address that was tried, for a person."""
    return "; ".join(f"{address}: {outcome}" for address, outcome in attempts)
