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


class DeniedNetworks:
    """The networks that no check connects to."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self.holding = lru_cache(maxsize=10_000)(self._holding)

    def _holding(self, address: str) -> str | None:
        """The denied network that holds an IP address, None when it is allowed."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return next((str(network) for network in self._networks if ip in network), None)


def denied(address: str, network: str) -> str:
    """Why there was no connection, for a person."""
    return f"{address} is in {network}, which monitor.denied_networks forbids"


def place(host: str, port: int) -> str:
    """Host and port, for a person."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def told(attempts: Sequence[tuple[str, str]]) -> str:
    """What came of each address that was tried, for a person."""
    return "; ".join(f"{address}: {outcome}" for address, outcome in attempts)
