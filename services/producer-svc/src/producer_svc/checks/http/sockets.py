"""Sockets of the engine requests, whose every operation ends within the time budget of their check."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import attrs

from producer_svc.checks.http.progress import WAITING, ConnectError, DeadlineError, DnsError, OwnFaultError, Progress
from producer_svc.checks.network import OWN_FAULTS, DeniedNetworks, denied, place, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producer_svc.checks.http.resolver import Address, Resolver

# How long an attempt is alone before the next address is tried, too (RFC 8305, section 5).
_ATTEMPT_DELAY_S = 0.25


class BudgetSocket(socket.socket):
    """A socket that is read and written within the budget, however slowly the bytes trickle."""

    progress: Progress

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.progress.remaining_s())
        try:
            count = super().recv_into(*args, **kwargs)
        except TimeoutError:
            raise DeadlineError from None
        self.progress.received(count)
        return count

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.progress.remaining_s())
        try:
            super().sendall(*args, **kwargs)
        except TimeoutError:
            raise DeadlineError from None


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

    def send(self, *args: Any, **kwargs: Any) -> int:
        if self.progress:
            self.settimeout(self.progress.remaining_s())
        try:
            return super().send(*args, **kwargs)
        except TimeoutError:
            raise DeadlineError from None
        except ssl.SSLEOFError:
            return len(args[0])  # whoever hangs up while it is still being asked may have said why


def connect(host: str, port: int, resolver: Resolver, networks: DeniedNetworks, progress: Progress) -> socket.socket:
    """A TCP connection to the first address of the host that accepts one, within the budget.

    Raises:
        DnsError, ConnectError, DeadlineError, OwnFaultError: there is no connection.
    """
    began, progress.phase = time.monotonic(), "looking up the name"
    if progress.connect_to:
        host, port = progress.connect_to[0], progress.connect_to[1] or port
    addresses = resolver.resolve(host.strip("[]"), port, progress.remaining_s())
    if progress.family:
        wanted = socket.AF_INET6 if progress.family == 6 else socket.AF_INET
        addresses = [address for address in addresses if address[0] == wanted]
        if not addresses:
            raise DnsError(f"{host}: the name has no address of IPv{progress.family}")
    resolved, progress.phase = time.monotonic(), "connecting"
    progress.dns_s = (progress.dns_s or 0.0) + resolved - began
    progress.attempts.clear()
    with _Race(networks, progress) as race:
        connection = race.run(addresses)
    if connection is None:
        if own := race.own_fault:
            raise OwnFaultError(own)
        attempts = progress.attempts
        why = told(attempts) if len(attempts) > 1 else (attempts or [("", "no address")])[0][1]
        raise ConnectError(f"{place(host.strip('[]'), port)}: {why}")
    progress.connect_s = (progress.connect_s or 0.0) + time.monotonic() - resolved
    progress.phase = WAITING
    connection.settimeout(progress.remaining_s())
    return connection


@attrs.define
class _Race:
    """Attempts to connect, each address some time after the one before (Happy Eyeballs, RFC 8305)."""

    networks: DeniedNetworks
    progress: Progress
    _selector: selectors.BaseSelector = attrs.field(factory=selectors.PollSelector, init=False)
    # Those that have not answered, with their places among the attempts.
    _running: dict[BudgetSocket, int] = attrs.field(factory=dict, init=False)
    # The codes with which attempts failed.
    _codes: list[int] = attrs.field(factory=list, init=False)

    def __enter__(self) -> Self:
        return self

    @property
    def own_fault(self) -> str | None:
        """What this machine lacked, so that nothing is known about the website.

        A machine without an address of some family (EADDRNOTAVAIL) tells nothing as long as others failed otherwise.
        """
        lacked = [code for code in self._codes if code in OWN_FAULTS]
        if set(lacked) == {errno.EADDRNOTAVAIL} and len(lacked) < len(self.progress.attempts):
            return None
        return os.strerror(max(lacked, key=lambda code: code != errno.EADDRNOTAVAIL)) if lacked else None

    def __exit__(self, *_: object) -> None:
        for loser in self._running:
            loser.close()
        self._selector.close()

    def run(self, addresses: Sequence[Address]) -> BudgetSocket | None:
        """The first connection; None when no address accepts one.

        Raises:
            DeadlineError: the time is over.
        """
        left, next_at = deque(addresses), 0.0
        while left or self._running:
            now = time.monotonic()
            if left and (now >= next_at or not self._running):
                self._begin(left.popleft())
                next_at = now + _ATTEMPT_DELAY_S
            if not self._running:
                continue  # it has failed at once: there is nothing to wait for
            wait_s = self.progress.remaining_s()
            for key, _ in self._selector.select(min(wait_s, max(0.0, next_at - now)) if left else wait_s):
                if self._accepted(key.fileobj):
                    return self._won(key.fileobj)
                next_at = 0.0
        return None

    def _begin(self, address: Address) -> None:
        family, kind, protocol, _, where = address
        if network := self.networks.holding(where[0]):
            self.progress.attempts.append((where[0], denied(where[0], network)))
            return
        self.progress.attempts.append((where[0], "no answer"))
        try:
            connection = BudgetSocket(family, kind, protocol)
        except OSError as error:
            self._note(len(self.progress.attempts) - 1, error.errno or 0)
            return
        connection.progress = self.progress
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._running[connection] = len(self.progress.attempts) - 1
        code = connection.connect_ex(where)
        if code in (0, errno.EINPROGRESS):
            self._selector.register(connection, selectors.EVENT_WRITE)
        else:
            self._lost(connection, code)

    def _accepted(self, connection: Any) -> bool:
        """Whether an attempt that has ended is a connection."""
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._selector.unregister(connection)
            self._lost(connection, code)
        return not code

    def _won(self, connection: Any) -> BudgetSocket:
        at = self._running.pop(connection)
        address = self.progress.attempts[at][0]
        self.progress.attempts[at] = (address, "connected")
        self.progress.remote_address = address
        return connection  # type: ignore[no-any-return]

    def _lost(self, connection: BudgetSocket, code: int) -> None:
        at = self._running.pop(connection)
        connection.close()
        self._note(at, code)

    def _note(self, at: int, code: int) -> None:
        """Write down why an attempt failed."""
        self._codes.append(code)
        self.progress.attempts[at] = (self.progress.attempts[at][0], os.strerror(code))
