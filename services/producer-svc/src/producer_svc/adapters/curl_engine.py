"""The engine on libcurl: one thread, any number of checks at once. For Linux."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pycurl

from monitoring_core.result import Reason
from producer_svc.adapters.network import OWN_FAULTS, DeniedNetworks, denied, exhausted, trusted_authorities
from producer_svc.exchange import MAX_HEADER_BYTES, MAX_RESPONSE_HEADERS, Certificate, EndingError, Exchange, Limits
from producer_svc.stalls import StallWatch, timed_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring_core.config import MonitorConfig
    from monitoring_core.result import CheckResult
    from producer_svc.check import Check, Origin

_MAX_EVENTS = 256
_TO_EPOLL = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_ABORT = -1
_BLANK = frozenset({b"\r\n", b"\n"})
_CERTIFICATE_FIELDS = frozenset({b"Subject", b"Issuer", b"Expire date"})
_TLS_ERRORS = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
    }
)
# What libcurl says before it has asked the website anything: its own files, options and memory.
_OWN_ERRORS = frozenset(
    {
        pycurl.E_OUT_OF_MEMORY,
        pycurl.E_FAILED_INIT,
        pycurl.E_NOT_BUILT_IN,
        pycurl.E_UNKNOWN_OPTION,
        pycurl.E_BAD_FUNCTION_ARGUMENT,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_CRL_BADFILE,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_ISSUER_ERROR,
    }
)
# In the order of preference. OpenSSL would begin with a post-quantum key exchange, which costs as much as all the
# Python of a check; and what a check fetches need not stay secret for decades.
_CURVES = "X25519:P-256:P-384:P-521"
# How libcurl words a peer that hangs up in the handshake.
_HUNG_UP = ("SSL_ERROR_SYSCALL", "unexpected eof", "Connection reset", "SSL_ERROR_ZERO_RETURN", "Broken pipe")


class CurlEngine:
    """Runs at most `monitor.max_concurrent_checks` checks at once, in the thread that calls it."""

    def __init__(self, config: MonitorConfig, origin: Origin) -> None:
        self._origin = origin
        self._limits = Limits.of(config)
        self._places = config.max_concurrent_checks
        self._denied = DeniedNetworks(config.denied_networks)
        self._stalls = StallWatch()
        # In memory: libcurl reads a file once and keeps what it found, but not what is handed over as bytes.
        self._authorities = os.memfd_create("authorities")
        os.write(self._authorities, trusted_authorities().encode())
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        self._timer_due: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._idle: list[_Transfer] = []
        self._active: dict[pycurl.Curl, _Transfer] = {}
        self._finished: list[CheckResult] = []

    @property
    def free(self) -> int:
        """How many more checks can be submitted now."""
        return self._places - self.running

    @property
    def running(self) -> int:
        """How many checks are submitted and not yet taken as finished."""
        return len(self._active) + len(self._finished)

    def submit(self, check: Check) -> None:
        """Begin a check. It ends within its target's timeout."""
        exchange = Exchange(check, self._limits)
        try:
            exchange.begin()
        except EndingError as ending:
            self._finished.append(exchange.result(self._origin, ending))
            return
        transfer = self._idle.pop() if self._idle else _Transfer(self._authorities, self._denied)
        transfer.exchange = exchange
        self._active[transfer.curl] = transfer
        self._start(transfer)

    def take_finished(self, wait_s: float) -> list[CheckResult]:
        """The results since the last call; waits for the first at most `wait_s` seconds."""
        until = time.monotonic() + wait_s
        while True:
            left = until - time.monotonic()
            self._turn(0.0 if self._finished else max(0.0, left))
            if self._finished or left <= 0:
                taken, self._finished = self._finished, []
                return taken

    def abandon(self) -> list[Check]:
        """Give up what is running, and return it: its results will never be taken."""
        abandoned = [transfer.exchange.check for transfer in self._active.values()]
        for transfer in self._active.values():
            self._multi.remove_handle(transfer.curl)
        self._active.clear()
        return abandoned

    def _start(self, transfer: _Transfer) -> None:
        transfer.prepare()
        self._multi.add_handle(transfer.curl)

    def _turn(self, wait_s: float) -> None:
        """Wait for the first thing to happen, let libcurl act on all that has, and take what is done."""
        if self._timer_due is not None:
            wait_s = min(wait_s, max(0.0, self._timer_due - time.monotonic()))
        for fd, events in self._epoll.poll(wait_s, _MAX_EVENTS):
            readable = pycurl.CSELECT_IN if events & ~select.EPOLLOUT else 0
            writable = pycurl.CSELECT_OUT if events & ~select.EPOLLIN else 0
            self._multi.socket_action(fd, readable | writable)
        if self._timer_due is not None and self._timer_due <= time.monotonic():
            self._timer_due = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        more = 1
        while more:
            more, done, failed = self._multi.info_read()
            for curl in done:
                self._complete(self._active[curl], 0, "")
            for curl, code, message in failed:
                self._complete(self._active[curl], code, message)

    def _complete(self, transfer: _Transfer, code: int, message: str) -> None:
        """One hop is over: go on with the next, or the check is done."""
        curl, exchange = transfer.curl, transfer.exchange
        self._multi.remove_handle(curl)
        if transfer.refused is not None:
            self._finish(transfer, transfer.take_look())
            return
        transfer.measure()
        ending = transfer.ending
        if ending is None and exchange.following is not None:
            exchange.follow()
            if exchange.deadline > time.monotonic():
                self._start(transfer)
                return
            code = pycurl.E_OPERATION_TIMEDOUT
        if ending is None:
            try:
                if code:
                    raise self._explain(transfer, code, message)
                exchange.end()
            except EndingError as raised:
                ending = raised
        if ending and code == pycurl.E_PEER_FAILED_VERIFICATION and exchange.deadline > time.monotonic():
            transfer.look(ending)
            self._multi.add_handle(curl)
            return
        self._finish(transfer, ending)

    def _finish(self, transfer: _Transfer, ending: EndingError | None) -> None:
        del self._active[transfer.curl]
        self._idle.append(transfer)
        self._finished.append(transfer.exchange.result(self._origin, ending))

    def _explain(self, transfer: _Transfer, code: int, message: str) -> EndingError:
        """Whose fault a failed transfer is, and one line about it."""
        exchange = transfer.exchange
        errno = transfer.errno or transfer.curl.getinfo(pycurl.OS_ERRNO)
        if code in _OWN_ERRORS:
            return EndingError(Reason.PROBER_ERROR, f"the prober cannot check: {message or f'libcurl error {code}'}")
        if code == pycurl.E_COULDNT_CONNECT and errno in OWN_FAULTS:
            return EndingError(Reason.PROBER_ERROR, f"the prober ran out of resources: {os.strerror(errno)}")
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return timed_out(exchange.started, exchange.check.target.timeout_s, self._stalls)
        if code == pycurl.E_COULDNT_RESOLVE_HOST:
            if exhaustion := exhausted():
                return EndingError(Reason.PROBER_ERROR, f"the prober ran out of resources: {exhaustion}")
            return EndingError(Reason.DNS_ERROR, message)
        if code == pycurl.E_COULDNT_CONNECT:
            why = transfer.denied or (os.strerror(errno) if errno else message)
            return EndingError(Reason.CONNECTION_ERROR, f"{urlsplit(exchange.request.url).netloc}: {why}")
        if code in _TLS_ERRORS:
            hung_up = code == pycurl.E_SSL_CONNECT_ERROR and any(words in message for words in _HUNG_UP)
            return EndingError(Reason.CONNECTION_ERROR if hung_up else Reason.TLS_ERROR, message)
        if code == pycurl.E_URL_MALFORMAT:
            reason = Reason.REDIRECT_ERROR if exchange.hops else Reason.PROBER_ERROR
            return EndingError(reason, f"{exchange.request.url} cannot be requested")
        return EndingError(Reason.BODY_READ_ERROR if exchange.in_body else Reason.CONNECTION_ERROR, message)

    def _watch(self, event: int, fd: int, _multi: Any, _data: Any) -> None:
        if event == pycurl.POLL_REMOVE:
            self._watched.discard(fd)
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)
        elif fd in self._watched:
            self._epoll.modify(fd, _TO_EPOLL[event])
        else:
            self._watched.add(fd)
            self._epoll.register(fd, _TO_EPOLL[event])

    def _set_timer(self, timeout_ms: int) -> None:
        self._timer_due = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000


class _Transfer:
    """An easy handle, used again and again, and the check that it works on."""

    exchange: Exchange

    def __init__(self, authorities: int, networks: DeniedNetworks) -> None:
        self._networks = networks
        self.ending: EndingError | None = None
        self.refused: EndingError | None = None  # the verdict, while its certificate is looked at
        self.errno = 0
        self._socket: socket.socket | None = None
        self.denied: str | None = None
        self._lines: list[bytes] = []
        self._header_bytes = 0
        self._judged = False  # what comes after the head as a header is a trailer
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
            (pycurl.HEADERFUNCTION, self._take_header),
            (pycurl.WRITEFUNCTION, self._take_body),
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

    def look(self, refused: EndingError) -> None:
        """Make the handle ready to connect once more, trusting anybody and sending nothing.

        OpenSSL throws a certificate that it refuses away, and that is just the one that a person needs to see.
        """
        self.refused, self.exchange.ended = refused, time.monotonic()
        self.curl.setopt(pycurl.CONNECT_ONLY, 1)
        self.curl.setopt(pycurl.SSL_VERIFYPEER, 0)
        self.curl.setopt(pycurl.SSL_VERIFYHOST, 0)
        self.curl.setopt(pycurl.TIMEOUT_MS, max(1, int(1000 * (self.exchange.deadline - time.monotonic()))))

    def take_look(self) -> EndingError | None:
        """Keep the refused certificate, if it was shown again, and return the verdict."""
        self._close_socket()
        if self.curl.getinfo(pycurl.APPCONNECT_TIME_T):
            self.exchange.certificate = _certificate(self.curl.getinfo_raw(pycurl.INFO_CERTINFO))
        self.curl.setopt(pycurl.CONNECT_ONLY, 0)
        refused, self.refused = self.refused, None
        return refused

    def measure(self) -> None:
        """Add what this hop took to the exchange. libcurl counts microseconds from the hop's start."""
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

    def _take_header(self, line: bytes) -> int | None:
        """Take one line of the response's head, and judge the head when that was the last."""
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

    def _take_body(self, chunk: bytes) -> int | None:
        return self._guarded(self.exchange.body, chunk)

    def _guarded(self, take: Callable[..., None], *arguments: Any) -> int | None:
        """Act on what came, and end the transfer when that ends the check."""
        try:
            take(*arguments)
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
        """A socket for the address that libcurl really connects to."""
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
        """Close our end of what libcurl has a duplicate of."""
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
    """The website's own certificate, as libcurl describes it: in bytes, which are what the website says."""
    fields = chain[0] if chain else ()
    said = {field[0]: field[1].decode("utf-8", "replace") for field in fields if field[0] in _CERTIFICATE_FIELDS}
    return _described(said.get(b"Expire date", ""), said.get(b"Subject", ""), said.get(b"Issuer", ""))


@lru_cache(maxsize=1_000)
def _described(expires: str, subject: str, issuer: str) -> Certificate | None:
    try:
        return Certificate.expiring(ssl.cert_time_to_seconds(expires), subject, issuer)
    except ValueError:
        return None
