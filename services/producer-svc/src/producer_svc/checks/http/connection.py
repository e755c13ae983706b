"""urllib3's connections and pools on sockets that keep to the time budget of a check, with each phase measured."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from typing import TYPE_CHECKING, ClassVar

import attrs
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from producer_svc.checks.certificates import Certificate, read_certificate
from producer_svc.checks.http.progress import ConnectError, DeadlineError, ProbeError, Progress, TlsError
from producer_svc.checks.http.sockets import BudgetTlsSocket, connect

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from producer_svc.checks.http.resolver import Resolver
    from producer_svc.checks.network import DeniedNetworks


@attrs.frozen
class Route:
    """What a connection needs on its way to a website.

    Attributes:
        trusting: a TLS context that verifies nothing. OpenSSL discards a certificate that it refuses; a second
            handshake with this context fetches it as evidence, and sends nothing after that.
        progress: returns the progress of the current check.
    """

    resolver: Resolver
    networks: DeniedNetworks
    trusting: ssl.SSLContext
    progress: Callable[[], Progress]

    def connect(self, host: str, port: int, progress: Progress) -> socket.socket:
        """A TCP connection to a host.

        Raises:
            ProbeError: there is no connection.
        """
        return connect(host, port, self.resolver, self.networks, progress)


def pool_classes(route: Route) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools by scheme. urllib3 makes the connections itself, so their class must hold the route."""
    plain = type("Connection", (_Connection,), {"route": route})
    secure = type("TlsConnection", (_TlsConnection,), {"route": route})
    return {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


class _Response(http.client.HTTPResponse):
    """Skips informational responses, which the base class takes for the final one (RFC 9110, section 15.2)."""

    def begin(self) -> None:
        super().begin()
        while 101 < self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]  # so does the base class, to begin again
            super().begin()


class _Connection(HTTPConnection):
    response_class = _Response
    route: ClassVar[Route]

    def _new_conn(self) -> socket.socket:
        return self.route.connect(self.host, self.port or 80, self.route.progress())


class _TlsConnection(HTTPSConnection):
    response_class = _Response
    route: ClassVar[Route]

    def _new_conn(self) -> socket.socket:
        return self.route.connect(self.host, self.port or 443, self.route.progress())

    def connect(self) -> None:
        progress = self.route.progress()
        before, began = progress.connecting_s, time.monotonic()
        try:
            super().connect()
        except OSError as error:  # the base class of all errors of TLS, too
            if isinstance(error, ssl.SSLCertVerificationError):
                progress.refused = time.monotonic()
                with contextlib.suppress(ProbeError, OSError, ValueError):
                    progress.certificate = self._refused_certificate(Progress(progress.deadline))
            raise _handshake_failure(error) from None
        except ValueError as error:
            raise TlsError(str(error)) from None
        tls_s = time.monotonic() - began - (progress.connecting_s - before)
        progress.tls_s = (progress.tls_s or 0.0) + tls_s
        if isinstance(self.sock, BudgetTlsSocket):
            self.sock.progress = progress
            progress.certificate = _certificate(self.sock)
            progress.tls_version = (self.sock.version() or "").removeprefix("TLSv") or None

    def _refused_certificate(self, progress: Progress) -> Certificate | None:
        """The certificate that the website presents, not verified.

        Raises:
            ProbeError, OSError, ValueError: the website presents none.
        """
        again = self.route.connect(self.host, self.port or 443, progress)
        with again, self.route.trusting.wrap_socket(again, server_hostname=self.host) as secure:
            return _certificate(secure)


def _certificate(connection: ssl.SSLSocket) -> Certificate | None:
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
