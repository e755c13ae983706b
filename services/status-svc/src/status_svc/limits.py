"""How many requests a client may make: token buckets, of which no more than so many are kept."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from monitoring_core.clock import Clock

_MOST_CLIENTS = 10_000
# Whoever has an address of IPv6 has all of its network.
_IPV6_NETWORK = 64


class Limits:
    """A bucket for each client: full at first, it refills evenly, and each request takes one.

    The client that was not seen for the longest time is forgotten when there are too many.
    """

    def __init__(self, a_minute: int, clock: Clock) -> None:
        """Args: a_minute: requests of one client in a minute."""
        self._size = float(a_minute)
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: Hashable) -> float:
        """Take one request of a client; 0.0 when it may, else in how many seconds it may."""
        now, rate = self._clock.monotonic(), self._size / 60
        left, since = self._buckets.pop(client, (self._size, now))
        left = min(self._size, left + (now - since) * rate)
        wait = 0.0 if left >= 1 else (1 - left) / rate
        self._buckets[client] = (left if wait else left - 1), now
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._buckets)


def network_of(host: str) -> str:
    """What stands for the address of a client: IPv6 by its network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped:
        # All clients of IPv4 are in one network of these.
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), _IPV6_NETWORK), strict=False))
