"""Connections that keep the time budget of one check, and tell its phases apart."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any

import attrs
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from producer_svc.adapters.network import OWN_FAULTS, DeniedNetworks, denied, exhausted, read_certificate
from producer_svc.exchange import MAX_HEADER_BYTES, Certificate

if TYPE_CHECKING:
    from collections.abc import Callable


class ProbeError(Exception):
    """A step of a check failed. It is not an OSError, so that no layer in between takes it for its own and retries."""


class DeadlineError(ProbeError):
    """The time budget of the check is spent."""


class DnsError(ProbeError):
    """The name has no address."""


class ConnectError(ProbeError):
    """No address of the name can be connected to."""


class TlsError(ProbeError):
    """The TLS handshake failed, or the certificate is not to be trusted."""


class OwnFaultError(ProbeError):
    """The prober ran out of something: not the website's doing."""


@attrs.define
class Progress:
    """How far one check has come. Times are seconds on the monotonic clock, durations seconds.

    Attributes:
        header_bytes: bytes received since the request was sent; None while they are not headers.
        refused: when a certificate was refused; None if that did not happen.
    """

    deadline: float
    dns_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    remote_address: str | None = None
    certificate: Certificate | None = None
    header_bytes: int | None = None
    refused: float | None = None

    def remaining_s(self) -> float:
        """What is left of the budget.

        Raises:
            DeadlineError: nothing is left.
        """
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise DeadlineError
        return left_s

    def received(self, count: int) -> None:
        """Note that bytes have come.

        Raises:
            ConnectError: they are headers, and too many.
        """
        if self.header_bytes is not None:
            self.header_bytes += count
            if self.header_bytes > MAX_HEADER_BYTES:
                raise ConnectError("the answer has too many headers, or too large ones")

    @property
    def connecting_s(self) -> float:
        """What went into look-ups, connects and handshakes so far, all hops together."""
        return (self.dns_s or 0.0) + (self.connect_s or 0.0) + (self.tls_s or 0.0)


class Resolver:
    """Name look-ups within a budget. The system's resolver cannot be interrupted, so it runs in threads of its own."""

    def __init__(self, max_concurrent: int) -> None:
        self._threads = ThreadPoolExecutor(max_concurrent, thread_name_prefix="dns")

    def resolve(self, host: str, port: int, timeout_s: float) -> list[Any]:
        """The addresses of a host, as getaddrinfo gives them.

        Raises:
            DnsError, DeadlineError: there is none, or none in time.
            OwnFaultError: there was no descriptor left to ask with, or no thread: look-ups outlast their checks.
        """
        with contextlib.suppress(socket.gaierror):  # an address needs no look-up, which may take long, and no thread
            return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        lookup = self._threads.submit(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
        try:
            return lookup.result(timeout_s)
        except FutureTimeoutError:
            if lookup.cancel():  # it had not begun
                raise OwnFaultError("all look-ups wait for other names") from None
            raise DeadlineError from None
        except socket.gaierror as error:
            if why := exhausted():
                raise OwnFaultError(why) from None
            raise DnsError(f"{host}: {error.strerror}") from None
        except OSError as error:
            if error.errno in OWN_FAULTS:
                raise OwnFaultError(error.strerror) from None
            raise DnsError(f"{host}: {error.strerror}") from None
        except UnicodeError:
            raise DnsError(f"{host[:100]}: is not a host name") from None

    def close(self) -> None:
        """Begin no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _BudgetSocket(socket.socket):
    """A socket each of whose reads ends with the budget, however slowly the bytes trickle in."""

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


class _Response(http.client.HTTPResponse):
    """A response that is not taken for the final one when it is only informational (RFC 9110, section 15.2)."""

    def begin(self) -> None:
        super().begin()
        while 101 < self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]  # so does the base class, to begin again
            super().begin()


def connect(host: str, port: int, resolver: Resolver, networks: DeniedNetworks, progress: Progress) -> socket.socket:
    """A TCP connection to the first address of the host that takes one, within the budget.

    Raises:
        DnsError, ConnectError, DeadlineError, OwnFaultError: there is none.
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
    connection = _BudgetSocket(family, kind, protocol)
    connection.progress = progress
    try:
        connection.settimeout(progress.remaining_s())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def pool_classes(
    resolver: Resolver, networks: DeniedNetworks, trusting: ssl.SSLContext, progress: Callable[[], Progress]
) -> dict[str, Any]:
    """urllib3's pools by scheme, with connections that keep the budget of the check that `progress` returns.

    With `trusting`, a context that verifies nothing, one more handshake fetches a certificate that was refused, for a
    person to see: OpenSSL throws it away. Nothing is sent after that.
    """

    class Connection(HTTPConnection):
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            return connect(self.host, self.port or 80, resolver, networks, progress())

    class TlsConnection(HTTPSConnection):
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            return connect(self.host, self.port or 443, resolver, networks, progress())

        def connect(self) -> None:
            current = progress()
            before, began = current.connecting_s, time.monotonic()
            try:
                super().connect()
            except OSError as error:  # which all errors of TLS are
                if isinstance(error, ssl.SSLCertVerificationError):
                    current.refused = time.monotonic()
                    with contextlib.suppress(ProbeError, OSError, ValueError):
                        again = connect(self.host, self.port or 443, resolver, networks, Progress(current.deadline))
                        current.certificate = _presented(again, self.host, trusting)
                raise _handshake_failure(error) from None
            except ValueError as error:
                raise TlsError(str(error)) from None
            tls_s = time.monotonic() - began - (current.connecting_s - before)
            current.tls_s = (current.tls_s or 0.0) + tls_s
            if isinstance(self.sock, BudgetTlsSocket):
                self.sock.progress = current
                current.certificate = _certificate(self.sock)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": Pool, "https": TlsPool}


def _presented(connection: socket.socket, host: str, trusting: ssl.SSLContext) -> Certificate | None:
    """The certificate that a website presents, whatever it is worth."""
    with connection, trusting.wrap_socket(connection, server_hostname=host) as secure:
        return _certificate(secure)


def _certificate(connection: ssl.SSLSocket) -> Certificate | None:
    """The peer's certificate."""
    der = connection.getpeercert(binary_form=True)
    return None if der is None else read_certificate(der)


def _handshake_failure(error: OSError) -> ProbeError:
    match error:
        case TimeoutError():
            return DeadlineError()
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return ConnectError("closed during the TLS handshake")
        case ssl.SSLError():
            return TlsError(getattr(error, "verify_message", "") or error.reason or str(error))
    return ConnectError(f"during the TLS handshake: {error.strerror or error}")
