"""The engine on probe-transport: one thread in Rust moves the bytes of all checks, and Python judges what came."""

from __future__ import annotations

import ipaddress
import itertools
import time
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from monitoring_core.config import HttpVersion
from monitoring_core.result import Reason
from probe_transport import Answer, Transport
from probe_transport import ClientCertificate as Shown
from producer_svc.checks.certificates import TrustedAuthorities
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.client_certificates import ClientCertificate, ClientCertificates, unusable
from producer_svc.checks.http.exchange import Exchange
from producer_svc.checks.http.limits import Limits
from producer_svc.checks.http.native_hop import measure
from producer_svc.checks.http.request import header_lines
from producer_svc.checks.network import place, told
from producer_svc.checks.stalls import timed_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring_core.config import MonitorConfig
    from monitoring_core.result import CheckResult
    from producer_svc.check import Check, Origin
    from producer_svc.ports import Engine

# Long enough for the loop to wake up seldom; what changes within it comes too late for the checks that are submitted.
LEAD_S = 0.8
# How often the other engine is asked whether it has finished, while it checks something.
_SLICE_S = 0.02
_REASONS = {
    "name": Reason.DNS_ERROR,
    "connect": Reason.CONNECTION_ERROR,
    "hung_up": Reason.CONNECTION_ERROR,
    "tls": Reason.TLS_ERROR,
    "protocol": Reason.TLS_ERROR,
    "older": Reason.CONNECTION_ERROR,
    "answer": Reason.CONNECTION_ERROR,
    "body": Reason.BODY_READ_ERROR,
}


class NativeEngine:
    """Runs at most `monitor.max_concurrent_checks` checks at once, each from the moment at which it is due.

    What its library for TLS cannot judge, though browsers can, another engine checks in what is left of the time.
    """

    def __init__(self, config: MonitorConfig, build_other: Callable[[], Engine]) -> None:
        self._limits = Limits.of(config)
        self._places = config.max_concurrent_checks
        self._authorities = TrustedAuthorities()
        self._transport = Transport(
            self._authorities.pem.encode(),
            [str(ipaddress.ip_network(network)) for network in config.denied_networks],
            config.dns_cache,
            config.max_concurrent_checks,
            max_per_host=config.max_per_host,
        )
        self._certificates = ClientCertificates(config.client_certificate_directory)
        self._shown: dict[str, tuple[ClientCertificate, Shown]] = {}
        self._http_versions = config.http_versions
        self._resume_for_s = config.tls_resumption.total_seconds()
        self._tokens = itertools.count(1)
        self._running: dict[int, Exchange] = {}
        # When those submitted before they are due will be.
        self._early: deque[float] = deque()
        self._finished: list[CheckResult] = []
        self._build_other = build_other
        # Made when it is first needed: it takes memory, and most producers need none.
        self._other: Engine | None = None

    @property
    def lead_s(self) -> float:
        """How long before it is due a check may be submitted."""
        return LEAD_S

    @property
    def free(self) -> int:
        """How many more checks can be submitted now."""
        now = time.monotonic()
        while self._early and self._early[0] <= now:
            self._early.popleft()
        # A check that has not begun takes no place yet; the transport lets it wait when it is due and there is none.
        return self._places - self.running + min(len(self._early), self._places)

    @property
    def running(self) -> int:
        """How many checks are submitted and not yet drained as finished."""
        return len(self._running) + len(self._finished) + (self._other.running if self._other else 0)

    def submit(self, check: Check, origin: Origin) -> None:
        """Begin a check when it is due. It ends within its target's timeout."""
        if self._authorities.have_changed():
            self._transport.trust(self._authorities.pem.encode())
        exchange = Exchange(check, origin, self._limits)
        try:
            exchange.begin()
            self._send(exchange, check.due, check.target.settings.timeout_s)
            self._early.append(check.due)
        except EndingError as ending:
            self._finished.append(exchange.result(ending))

    def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
        """The results since the last call; while they are not `enough`, waits for more, at most `wait_s` seconds."""
        until = time.monotonic() + wait_s
        while True:
            left_s, missing = until - time.monotonic(), max(0, enough - len(self._finished))
            wait_s = left_s if missing else 0.0
            if self._other and self._other.running:
                self._finished += self._other.drain_finished(0.0)
                wait_s = min(wait_s, _SLICE_S)
            for answer in self._transport.drain(wait_s, missing):
                self._accept(answer)
            if len(self._finished) >= enough or left_s <= 0:
                finished, self._finished = self._finished, []
                return finished

    def abandon(self) -> list[Check]:
        """Give up the running checks and return them; their results will never be drained."""
        abandoned = [exchange.check for exchange in self._running.values()]
        self._running.clear()
        return abandoned + (list(self._other.abandon()) if self._other else [])

    def _send(self, exchange: Exchange, due: float | None, timeout_s: float) -> None:
        """Hand the exchange's request in.

        Raises:
            EndingError: the URL cannot be requested, or the client certificate not be shown.
        """
        request, target, token = exchange.request, exchange.check.target, next(self._tokens)
        certificate = exchange.client_certificate
        try:
            self._transport.submit(
                token,
                due,
                timeout_s,
                request.method,
                request.url,
                header_lines(request.headers),
                request.body,
                target.settings.expected_status.ranges,
                self._limits.body,
                target.settings.follow_redirects,
                target.settings.verify_tls,
                http1=exchange.only is not HttpVersion.TWO,
                http2=(exchange.only or self._http_versions[0]) is HttpVersion.TWO,
                endless=target.settings.looks_into_body,
                connect_to=exchange.connect_to,
                family=target.settings.family or 0,
                target=target.id,
                resume_for_s=self._resume_for_s,
                client_certificate=self._certificate(certificate) if certificate else None,
            )
        except ValueError:
            reason = Reason.REDIRECT_ERROR if exchange.hops else Reason.PROBER_ERROR
            raise EndingError(reason, f"{request.url} cannot be requested") from None
        self._running[token] = exchange

    def _certificate(self, name: str) -> Shown:
        """A client certificate as the transport has it.

        Raises:
            EndingError: it cannot be used.
        """
        found = self._certificates.get(name)
        known = self._shown.get(name)
        if known is None or known[0] is not found:
            try:
                known = self._shown[name] = (found, Shown(found.pem))
            except ValueError as error:
                raise unusable(name, str(error)) from None
        return known[1]

    def _accept(self, answer: Answer) -> None:
        """After a hop: start the next one, or finish the check."""
        exchange = self._running.pop(answer.token, None)
        if exchange is None:
            return
        ending: EndingError | None = None
        try:
            measure(exchange, answer, self._authorities.pem)
            if (answer.failure == "unable" and self._handed_over(exchange)) or self._goes_on(exchange, answer):
                return
            exchange.end()
        except EndingError as raised:
            ending = raised
        except Exception as error:
            ending = EndingError(Reason.PROBER_ERROR, f"internal error: {type(error).__name__}")
        self._finished.append(exchange.result(ending))

    def _goes_on(self, exchange: Exchange, answer: Answer) -> bool:
        """Judge what a hop brought; whether another hop has begun.

        Raises:
            EndingError: the website is not up.
        """
        if answer.status is not None and exchange.head(answer.status, answer.fields):
            exchange.body(answer.body, answer.cut)
        if exchange.only is None and (wanted := self._wanted(answer)):
            exchange.only = wanted
            self._send_again(exchange)
            return True
        if answer.failure is not None and not (exchange.endless and answer.failure == "deadline"):
            raise self._explain(exchange, answer)
        if exchange.following is None:
            return False
        exchange.follow()
        self._send_again(exchange)
        return True

    def _wanted(self, answer: Answer) -> HttpVersion | None:
        """The other version of HTTP, if the website refused the one that it was asked in.

        Raises:
            EndingError: the other one is not to be spoken.
        """
        if answer.failure == "older":
            return HttpVersion.ONE
        if answer.failure != "protocol" or self._http_versions[0] is HttpVersion.TWO:
            return None
        if HttpVersion.TWO not in self._http_versions:
            raise EndingError(Reason.PROBER_ERROR, "the website speaks HTTP/2 alone; see monitor.http_versions")
        return HttpVersion.TWO

    def _handed_over(self, exchange: Exchange) -> bool:
        """Let the other engine make the check in the time that is left of it, if any is."""
        check, now = exchange.check, time.monotonic()
        if now >= exchange.deadline:
            return False
        if self._other is None:
            self._other = self._build_other()
        settings = attrs.evolve(check.target.settings, timeout_s=exchange.deadline - now)
        # Its queue delay stays what it was: nothing has waited meanwhile.
        due = now - max(0.0, exchange.started - check.due)
        target = attrs.evolve(check.target, settings=settings)
        self._other.submit(attrs.evolve(check, target=target, due=due), exchange.origin)
        return True

    def _send_again(self, exchange: Exchange) -> None:
        now = time.monotonic()
        if now >= exchange.deadline:
            stalled_s = exchange.stalled_s + now - (exchange.ended or now)
            raise timed_out(exchange.check.target.settings.timeout_s, stalled_s, "following redirects")
        self._send(exchange, None, exchange.deadline - now)

    def _explain(self, exchange: Exchange, answer: Answer) -> EndingError:
        """Whose fault a failed hop is, and one line about it."""
        match answer.failure:
            case "name" if answer.ended >= exchange.deadline:
                # The last resolver was given up at the moment at which the check was over.
                timeout_s = exchange.check.target.settings.timeout_s
                return timed_out(timeout_s, exchange.stalled_s, "looking up the name")
            case "unable":  # no time was left for the other engine
                return timed_out(exchange.check.target.settings.timeout_s, exchange.stalled_s, "in the TLS handshake")
            case "deadline":
                return timed_out(exchange.check.target.settings.timeout_s, exchange.stalled_s, answer.detail)
            case "own":
                return EndingError(Reason.PROBER_ERROR, f"the prober {answer.detail}")
            case "connect":
                detail = told(answer.attempts) if len(answer.attempts) > 1 else answer.detail
                return EndingError(Reason.CONNECTION_ERROR, f"{_place(exchange)}: {detail}")
        return EndingError(_REASONS[answer.failure or "answer"], answer.detail)


def _place(exchange: Exchange) -> str:
    """Where a hop was to connect to."""
    parts = urlsplit(exchange.request.url)
    host, port = exchange.connect_to or (parts.hostname or "", None)
    return place(host, port or parts.port or (443 if parts.scheme == "https" else 80))
