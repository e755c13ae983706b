"""One check in libcurl: an easy handle, and what it reports to the exchange of its check."""

from __future__ import annotations

import socket
import ssl
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pycurl

from monitoring_core.result import Reason
from producer_svc.checks.certificates import Certificate
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.limits import MAX_HEADER_BYTES, MAX_RESPONSE_HEADERS
from producer_svc.checks.network import DeniedNetworks, denied

if TYPE_CHECKING:
    from collections.abc import Callable

    from producer_svc.checks.http.exchange import Exchange

_ABORT = -1
_BLANK = frozenset({b"\r\n", b"\n"})
_CERTIFICATE_FIELDS = frozenset({b"Subject", b"Issuer", b"Expire date"})
# In the order of preference. OpenSSL would begin with a post-quantum key exchange, which costs as much as all the
# Python code of a check, although what a check fetches need not stay secret for decades.
_CURVES = "X25519:P-256:P-384:P-521"


class Transfer:
    """An easy handle, used for one check after another, and the exchange of its present check."""

    exchange: Exchange

    def __init__(self, authorities: int, networks: DeniedNetworks) -> None:
        self._networks = networks
        self.ending: EndingError | None = None
        self.refused: EndingError | None = None  # the verdict on a certificate, during the second handshake
        self.errno = 0
        self._socket: socket.socket | None = None
        self.denied: str | None = None
        self._lines: list[bytes] = []
        self._header_bytes = 0
        self._judged = False  # header lines after the head are trailers, and ignored
        self.curl = curl = pycurl.Curl()
        for option, value in (
            (pycurl.CAINFO, f"/proc/self/fd/{authorities}"),
            (pycurl.NOSIGNAL, 1),
            (pycurl.NOPROXY, "*"),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.HTTP_CONTENT_DECODING, 0),
            (pycurl.FRESH_CONNECT, 1),
            (pycurl.FORBID_REUSE, 1),
            (pycurl.DNS_CACHE_TIMEOUT, 0),
            (pycurl.SSL_SESSIONID_CACHE, 0),
            (pycurl.SSL_EC_CURVES, _CURVES),
            (pycurl.OPT_CERTINFO, 1),
            (pycurl.COOKIEFILE, ""),
            (pycurl.HEADERFUNCTION, self._accept_header),
            (pycurl.WRITEFUNCTION, self._accept_body),
            (pycurl.OPENSOCKETFUNCTION, self._open),
        ):
            curl.setopt(option, value)
        curl.unsetopt(pycurl.CAPATH)

    def prepare(self) -> None:
        """Make the handle ready for the request of its exchange."""
        curl, exchange = self.curl, self.exchange
        request, target = exchange.request, exchange.check.target
        self.ending, self.denied, self.errno = None, None, 0
        self._lines, self._header_bytes, self._judged = [], 0, False
        headers = [f"{name}: {value}" if value else f"{name};" for name, value in request.headers]
        if request.method == "POST":
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDS, request.body or b"")
            headers.append("Expect:")
            if not any(name.lower() == "content-type" for name, _ in request.headers):
                headers.append("Content-Type:")
        else:
            curl.setopt(pycurl.HTTPGET, 1)
            if request.method == "HEAD":
                curl.setopt(pycurl.NOBODY, 1)
        if exchange.hops == 0:
            curl.setopt(pycurl.COOKIELIST, "ALL")
        curl.setopt(pycurl.URL, request.url)
        curl.setopt(pycurl.HTTPHEADER, [header.encode("latin-1") for header in headers])
        curl.setopt(pycurl.SSL_VERIFYPEER, target.verify_tls)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2 if target.verify_tls else 0)
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int(1000 * (exchange.deadline - time.monotonic()))))

    def prepare_second_handshake(self, refused: EndingError) -> None:
        """Make the handle ready to connect once more, without verifying the certificate and without a request.

        OpenSSL discards a certificate that it refuses, and just that certificate is the evidence that a person needs.
        """
        self.refused, self.exchange.ended = refused, time.monotonic()
        self.curl.setopt(pycurl.CONNECT_ONLY, 1)
        self.curl.setopt(pycurl.SSL_VERIFYPEER, 0)
        self.curl.setopt(pycurl.SSL_VERIFYHOST, 0)
        self.curl.setopt(pycurl.TIMEOUT_MS, max(1, int(1000 * (self.exchange.deadline - time.monotonic()))))

    def keep_refused_certificate(self) -> EndingError | None:
        """Keep the certificate of the second handshake, if there was one, and return the verdict on the first."""
        self._close_socket()
        if self.curl.getinfo(pycurl.APPCONNECT_TIME_T):
            self.exchange.certificate = _certificate(self.curl.getinfo_raw(pycurl.INFO_CERTINFO))
        self.curl.setopt(pycurl.CONNECT_ONLY, 0)
        refused, self.refused = self.refused, None
        return refused

    def measure(self) -> None:
        """Add the durations of this hop to the exchange. libcurl counts microseconds from the hop's start."""
        self._close_socket()
        info, exchange = self.curl.getinfo, self.exchange
        resolved, connected = info(pycurl.NAMELOOKUP_TIME_T), info(pycurl.CONNECT_TIME_T)
        secured, sent = info(pycurl.APPCONNECT_TIME_T), info(pycurl.PRETRANSFER_TIME_T)
        first, total = info(pycurl.STARTTRANSFER_TIME_T), info(pycurl.TOTAL_TIME_T)
        if resolved:
            exchange.dns_s = (exchange.dns_s or 0.0) + resolved / 1e6
        if connected:
            exchange.connect_s = (exchange.connect_s or 0.0) + (connected - resolved) / 1e6
            exchange.remote_address = info(pycurl.PRIMARY_IP) or None
        if secured:
            exchange.tls_s = (exchange.tls_s or 0.0) + (secured - connected) / 1e6
            exchange.certificate = _certificate(self.curl.getinfo_raw(pycurl.INFO_CERTINFO))
        if self._header_bytes:  # libcurl gives a time even when nothing came
            exchange.first_byte_s = (exchange.first_byte_s or 0.0) + (first - sent) / 1e6
        if exchange.in_body:
            exchange.transfer_s = (total - first) / 1e6

    def _accept_header(self, line: bytes) -> int | None:
        """Accept one line of the response's head, and judge the head after its last line."""
        if self._judged:
            return None
        if line in _BLANK:
            return self._guarded(self._judge_head)
        self._lines.append(line)
        self._header_bytes += len(line)
        if self._header_bytes > MAX_HEADER_BYTES or len(self._lines) > MAX_RESPONSE_HEADERS + 1:
            self.ending = EndingError(Reason.CONNECTION_ERROR, "the answer has too many headers, or too large ones")
            return _ABORT
        return None

    def _accept_body(self, chunk: bytes) -> int | None:
        return self._guarded(self.exchange.body, chunk)

    def _guarded(self, accept: Callable[..., None], *arguments: Any) -> int | None:
        """Call `accept`, and end the transfer when the check is over or a redirect is to be followed."""
        try:
            accept(*arguments)
        except EndingError as ending:
            self.ending = ending
        except Exception as error:
            self.ending = EndingError(Reason.PROBER_ERROR, f"internal error: {type(error).__name__}")
        return _ABORT if self.ending or self.exchange.following else None

    def _judge_head(self) -> None:
        status = int(self._lines[0].split(None, 2)[1])
        if status >= 200:
            self._judged = True
            self.exchange.head(status, _fields(self._lines[1:]))
        self._lines.clear()

    def _open(self, _purpose: int, address: Any) -> Any:
        """A socket for the address that libcurl connects to; refused when a denied network holds the address."""
        family, kind, protocol, place = address
        self._close_socket()
        network = self._networks.holding(place[0])
        if network is not None:
            self.denied = denied(place[0], network)
            return pycurl.SOCKET_BAD
        try:
            self._socket = socket.socket(family, kind, protocol)
        except OSError as error:
            self.errno = error.errno or 0
            return pycurl.SOCKET_BAD
        return self._socket

    def _close_socket(self) -> None:
        """Close our copy of the socket; libcurl works on a duplicate."""
        if self._socket:
            self._socket.close()
            self._socket = None


def _fields(lines: list[bytes]) -> dict[str, str]:
    """Header lines by lower-case name; several of one name are joined with commas."""
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        text = line.decode("latin-1").rstrip("\r\n")
        if text[:1] in " \t" and name:
            fields[name] += " " + text.strip()
            continue
        name, colon, value = text.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip():
            raise EndingError(Reason.CONNECTION_ERROR, "the answer is not HTTP: malformed header")
        fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
    return fields


def _certificate(chain: Any) -> Certificate | None:
    """The website's own certificate as libcurl describes it, in bytes that need not be valid UTF-8."""
    fields = chain[0] if chain else ()
    said = {field[0]: field[1].decode("utf-8", "replace") for field in fields if field[0] in _CERTIFICATE_FIELDS}
    return _described(said.get(b"Expire date", ""), said.get(b"Subject", ""), said.get(b"Issuer", ""))


@lru_cache(maxsize=1_000)
def _described(expires: str, subject: str, issuer: str) -> Certificate | None:
    try:
        return Certificate.expiring(ssl.cert_time_to_seconds(expires), subject, issuer)
    except ValueError:
        return None
