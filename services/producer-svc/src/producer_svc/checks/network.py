"""Networks that no check may reach, and failures that are this machine's own."""

from __future__ import annotations

import errno
import ipaddress
import os
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


def exhausted() -> str | None:
    """Why this process cannot open anything now; None when it can.

    getaddrinfo reports the same error for a name that does not exist and for a process without a free file descriptor.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in OWN_FAULTS:
            return error.strerror
    return None
