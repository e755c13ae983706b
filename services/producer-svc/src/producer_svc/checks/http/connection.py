"""urllib3's connections and pools on sockets that keep to the time budget of a check, with each phase measured."""

from __future__ import annotations

import contextlib
import re
import ssl
import time
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_match_hostname import CertificateError

from producer_svc.checks.http.answer import HTTP2_ALONE, LenientResponse
from producer_svc.checks.http.progress import (
    WAITING,
    ConnectError,
    DeadlineError,
    ProbeError,
    Progress,
    TlsError,
    UnableError,
)
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


# How a certificate is written as bytes: _ssl.ENCODING_DER.
_DER = 2
# The message that asks for a client certificate (RFC 8446, section 4), and what may follow when none comes.
_CERTIFICATE_REQUEST = 13
_MAY_MISS_A_CERTIFICATE = ("SSLV3_ALERT_HANDSHAKE_FAILURE", "SSLV3_ALERT_BAD_CERTIFICATE")


class _Connection(HTTPConnection):
    response_class = LenientResponse
    route: ClassVar[Route]

    def _new_conn(self) -> socket.socket:
        return self.route.connect(self.host, self.port or 80, self.route.progress())

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """The request's path as it is spelled: urllib3 would change it."""
        super().putrequest(method, self.route.progress().target, *args, **kwargs)


class _TlsConnection(HTTPSConnection):
    response_class = LenientResponse
    route: ClassVar[Route]

    def _new_conn(self) -> socket.socket:
        connection = self.route.connect(self.host, self.port or 443, self.route.progress())
        self.route.progress().phase = "in the TLS handshake"
        return connection

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """As without TLS."""
        super().putrequest(method, self.route.progress().target, *args, **kwargs)

    def connect(self) -> None:
        progress = self.route.progress()
        before, began = progress.connecting_s, time.monotonic()
        try:
            super().connect()
            progress.phase = WAITING
        except OSError as error:  # the base class of all errors of TLS, too
            if isinstance(error, ssl.SSLCertVerificationError):
                self._keep_refused(progress)
            if progress.client_certificate and refuses_certificate(error):
                raise TlsError(CERTIFICATE_REFUSED) from None
            if (
                not progress.client_certificate
                and (error.reason if isinstance(error, ssl.SSLError) else "") in _MAY_MISS_A_CERTIFICATE
            ):
                self._explain_refusal(progress.again())
            raise _handshake_failure(error) from None
        except CertificateError:
            self._keep_refused(progress)
            raise TlsError(f"Hostname mismatch, certificate is not valid for '{self.host}'") from None
        except ValueError as error:
            raise TlsError(str(error)) from None
        tls_s = time.monotonic() - began - (progress.connecting_s - before)
        progress.tls_s = (progress.tls_s or 0.0) + tls_s
        if isinstance(self.sock, BudgetTlsSocket):
            self.sock.progress = progress
            progress.chain = _chain(self.sock)
            progress.tls_version = (self.sock.version() or "").removeprefix("TLSv") or None

    def _keep_refused(self, progress: Progress) -> None:
        """Keep the certificates that were refused, if the website presents them again."""
        progress.refused = time.monotonic()
        with contextlib.suppress(ProbeError, OSError, ValueError):
            progress.chain = self._refused_chain(progress.again())

    def _refused_chain(self, progress: Progress) -> list[bytes]:
        """The certificates that the website presents, not verified.

        Raises:
            ProbeError, OSError, ValueError: the website presents none.
        """
        again = self.route.connect(self.host, self.port or 443, progress)
        with again, self.route.trusting.wrap_socket(again, server_hostname=self.host) as secure:
            return _chain(secure)

    def _explain_refusal(self, progress: Progress) -> None:
        """Find out in a second handshake whether the website asks for a client certificate; the first one says nothing.

        Raises:
            TlsError: it does.
        """
        context = ssl._create_unverified_context()  # noqa: S323 (nothing is sent after this handshake)
        kinds: list[int] = []
        context._msg_callback = lambda *message: kinds.append(message[4])  # type: ignore[attr-defined]
        with contextlib.suppress(ProbeError, OSError, ValueError):
            with self.route.connect(self.host, self.port or 443, progress) as again:
                context.wrap_socket(again, server_hostname=self.host).close()
            return
        if _CERTIFICATE_REQUEST in kinds:
            raise TlsError(CERTIFICATE_ASKED)


def _chain(connection: ssl.SSLSocket) -> list[bytes]:
    """The certificates that the website presents, its own first."""
    presented = connection._sslobj.get_unverified_chain() or []  # type: ignore[attr-defined]  # public from Python 3.13 on
    return [
        certificate if isinstance(certificate, bytes) else certificate.public_bytes(_DER) for certificate in presented
    ]


CERTIFICATE_ASKED = "the website asks for a client certificate"
CERTIFICATE_REFUSED = "the website refuses the client certificate"
# Alerts about the certificate that their receiver has shown (RFC 8446, section 6.2), as OpenSSL names them.
_REFUSALS = re.compile(
    "(SSLV3|TLSV1|TLSV13)_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN)|UNKNOWN_CA"
    "|ACCESS_DENIED)"
)


def asks_for_certificate(error: BaseException) -> bool:
    """Whether the website refuses to go on without a client certificate."""
    return "CERTIFICATE_REQUIRED" in (getattr(error, "reason", None) or "")


def refuses_certificate(error: BaseException) -> bool:
    """Whether the website says that it does not take the client certificate."""
    return _REFUSALS.fullmatch(getattr(error, "reason", None) or "") is not None


def told_of_certificate(error: BaseException) -> str | None:
    """What a website says of the client certificate, in words; None when the error is none of these."""
    if asks_for_certificate(error):
        return CERTIFICATE_ASKED
    return CERTIFICATE_REFUSED if refuses_certificate(error) else None


def _handshake_failure(error: OSError) -> ProbeError:
    if asks_for_certificate(error):
        return TlsError(CERTIFICATE_ASKED)
    match error:
        case TimeoutError():
            return DeadlineError()
        case ssl.SSLError() if "alert no application protocol" in str(error).replace("_", " ").lower():
            return UnableError(HTTP2_ALONE)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return ConnectError("closed during the TLS handshake")
        case ssl.SSLError():
            return TlsError(getattr(error, "verify_message", "").rstrip(".") or error.reason or str(error))
    return ConnectError(f"during the TLS handshake: {error.strerror or error}")
