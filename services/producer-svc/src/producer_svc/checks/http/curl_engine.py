"""The engine on libcurl: one thread, any number of checks at once. For Linux."""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pycurl

from monitoring_core.result import Reason
from producer_svc.checks.certificates import trusted_authorities
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.curl_transfer import Transfer
from producer_svc.checks.http.exchange import Exchange
from producer_svc.checks.http.limits import Limits
from producer_svc.checks.network import OWN_FAULTS, DeniedNetworks, exhausted
from producer_svc.checks.stalls import StallWatch, timed_out

if TYPE_CHECKING:
    from monitoring_core.config import MonitorConfig
    from monitoring_core.result import CheckResult
    from producer_svc.check import Check, Origin

_MAX_EVENTS = 256
_TO_EPOLL = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_TLS_ERRORS = frozenset({pycurl.E_SSL_CONNECT_ERROR, pycurl.E_PEER_FAILED_VERIFICATION})
# Errors of libcurl before it contacts the website: in its own files, options and memory.
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
# What libcurl's messages contain when the peer hangs up during the handshake.
_HUNG_UP = ("SSL_ERROR_SYSCALL", "unexpected eof", "Connection reset", "SSL_ERROR_ZERO_RETURN", "Broken pipe")


class CurlEngine:
    """Runs at most `monitor.max_concurrent_checks` checks at once, in the thread that calls it."""

    def __init__(self, config: MonitorConfig) -> None:
        self._limits = Limits.of(config)
        self._places = config.max_concurrent_checks
        self._denied = DeniedNetworks(config.denied_networks)
        self._stalls = StallWatch()
        # A file in memory: libcurl keeps the authorities that it has read from a file, but not those given as bytes.
        self._authorities = os.memfd_create("authorities")
        os.write(self._authorities, trusted_authorities().encode())
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        self._timer_due: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._idle: list[Transfer] = []
        self._active: dict[pycurl.Curl, Transfer] = {}
        self._finished: list[CheckResult] = []

    @property
    def lead_s(self) -> float:
        """How long before it is due a check may be submitted: a check begins when it is submitted."""
        return 0.0

    @property
    def free(self) -> int:
        """How many more checks can be submitted now."""
        return self._places - self.running

    @property
    def running(self) -> int:
        """How many checks are submitted and not yet drained as finished."""
        return len(self._active) + len(self._finished)

    def submit(self, check: Check, origin: Origin) -> None:
        """Begin a check. It ends within its target's timeout."""
        exchange = Exchange(check, origin, self._limits)
        try:
            exchange.begin()
        except EndingError as ending:
            self._finished.append(exchange.result(ending))
            return
        transfer = self._idle.pop() if self._idle else Transfer(self._authorities, self._denied)
        transfer.exchange = exchange
        self._active[transfer.curl] = transfer
        self._start(transfer)

    def drain_finished(self, wait_s: float) -> list[CheckResult]:
        """The results since the last call; waits for the first at most `wait_s` seconds."""
        until = time.monotonic() + wait_s
        while True:
            left = until - time.monotonic()
            self._poll(0.0 if self._finished else max(0.0, left))
            if self._finished or left <= 0:
                finished, self._finished = self._finished, []
                return finished

    def abandon(self) -> list[Check]:
        """Give up the running checks and return them; their results will never be drained."""
        abandoned = [transfer.exchange.check for transfer in self._active.values()]
        for transfer in self._active.values():
            self._multi.remove_handle(transfer.curl)
        self._active.clear()
        return abandoned

    def _start(self, transfer: Transfer) -> None:
        transfer.prepare()
        self._multi.add_handle(transfer.curl)

    def _poll(self, wait_s: float) -> None:
        """Wait for the first event, let libcurl act on all of them, and complete the transfers that are done."""
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

    def _complete(self, transfer: Transfer, code: int, message: str) -> None:
        """After a hop: start the next one, or finish the check."""
        curl, exchange = transfer.curl, transfer.exchange
        self._multi.remove_handle(curl)
        if transfer.refused is not None:
            self._finish(transfer, transfer.keep_refused_certificate())
            return
        transfer.measure()
        ending = transfer.ending
        if ending is None and exchange.following is not None:
            exchange.follow(())
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
            transfer.prepare_second_handshake(ending)
            self._multi.add_handle(curl)
            return
        self._finish(transfer, ending)

    def _finish(self, transfer: Transfer, ending: EndingError | None) -> None:
        del self._active[transfer.curl]
        self._idle.append(transfer)
        self._finished.append(transfer.exchange.result(ending))

    def _explain(self, transfer: Transfer, code: int, message: str) -> EndingError:
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
