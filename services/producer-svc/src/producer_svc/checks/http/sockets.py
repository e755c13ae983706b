"""Sockets of the engine requests, whose every operation ends within the time budget of their check."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

from producer_svc.checks.http.progress import ConnectError, DeadlineError, OwnFaultError, Progress
from producer_svc.checks.network import OWN_FAULTS, DeniedNetworks, denied

if TYPE_CHECKING:
    from producer_svc.checks.http.resolver import Resolver


class BudgetSocket(socket.socket):
    """A socket that is read within the budget, however slowly the bytes trickle in."""

    progress: Progress

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.progress.remaining_s())
        try:
            count = super().recv_into(*args, **kwargs)
        except TimeoutError:
            raise DeadlineError from None
        self.progress.received(count)
        return count


class BudgetTlsSocket(ssl.SSLSocket):
    """The same for TLS. `SSLContext.sslsocket_class` makes the context use it."""

    progress: Progress | None = None

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        if self.progress:
            self.settimeout(self.progress.remaining_s())
        try:
            count = super().recv_into(*args, **kwargs)
        except TimeoutError:
            raise DeadlineError from None
        if self.progress:
            self.progress.received(count)
        return count


def connect(host: str, port: int, resolver: Resolver, networks: DeniedNetworks, progress: Progress) -> socket.socket:
    """A TCP connection to the first address of the host that accepts one, within the budget.

    Raises:
        DnsError, ConnectError, DeadlineError, OwnFaultError: there is no connection.
    """
    began = time.monotonic()
    addresses = resolver.resolve(host.strip("[]"), port, progress.remaining_s())
    resolved = time.monotonic()
    progress.dns_s = (progress.dns_s or 0.0) + resolved - began
    why = "no address"
    for family, kind, protocol, _, address in addresses:
        if network := networks.holding(address[0]):
            why = denied(address[0], network)
            continue
        try:
            connection = _open(family, kind, protocol, address, progress)
        except TimeoutError:
            raise DeadlineError from None
        except OSError as error:
            if error.errno in OWN_FAULTS:
                raise OwnFaultError(error.strerror) from None
            why = error.strerror or str(error)
            continue
        progress.connect_s = (progress.connect_s or 0.0) + time.monotonic() - resolved
        progress.remote_address = address[0]
        return connection
    raise ConnectError(f"{host}:{port}: {why}")


def _open(family: int, kind: int, protocol: int, address: Any, progress: Progress) -> socket.socket:
    connection = BudgetSocket(family, kind, protocol)
    connection.progress = progress
    try:
        connection.settimeout(progress.remaining_s())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection
