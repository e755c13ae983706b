"""One check with requests, from its first request to its result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import requests
import urllib3.exceptions

import producer_svc.checks.x509  # noqa: F401 - imported by the first check, it would hold up all others
from monitoring_core.result import Reason
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.answer import BodyError, LenientResponse
from producer_svc.checks.http.connection import told_of_certificate
from producer_svc.checks.http.exchange import Exchange
from producer_svc.checks.http.progress import (
    ConnectError,
    DeadlineError,
    DnsError,
    OwnFaultError,
    Progress,
    TlsError,
    UnableError,
)
from producer_svc.checks.http.requests_adapter import BudgetAdapter, prepared
from producer_svc.checks.http.urls import path_of
from producer_svc.checks.stalls import StallWatch, timed_out

if TYPE_CHECKING:
    from monitoring_core.result import CheckResult
    from producer_svc.check import Check, Origin
    from producer_svc.checks.http.limits import Limits
    from producer_svc.checks.http.requests_adapter import TlsContexts
    from producer_svc.checks.http.resolver import Resolver
    from producer_svc.checks.network import DeniedNetworks

_BAD_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationParseError,
    UnicodeError,
)


class Probe:
    """Checks one target at a time, each on a fresh connection. Not for more than one thread at once."""

    def __init__(
        self,
        limits: Limits,
        contexts: TlsContexts,
        resolver: Resolver,
        networks: DeniedNetworks,
        stalls: StallWatch,
    ) -> None:
        self._limits = limits
        self._authorities = contexts.authorities
        self._stalls = stalls
        self._adapter = BudgetAdapter(contexts, resolver, networks)

    def check(self, check: Check, origin: Origin) -> CheckResult:
        """Run a check to its verdict. Whatever the website does, this ends within the target's timeout."""
        exchange = Exchange(check, origin, self._limits)
        progress = self._adapter.progress = Progress(exchange.deadline, family=check.target.settings.family)
        self._adapter.verify = check.target.settings.verify_tls
        ending: EndingError | None = None
        try:
            exchange.begin()
            self._run(exchange, progress)
        except EndingError as raised:
            ending = raised
        except Exception as failure:
            ending = self._explain(failure, exchange, progress)
        finally:
            # What is left is this process's own work.
            exchange.ended = progress.refused or exchange.ended or time.monotonic()
            self._adapter.poolmanager.clear()
        exchange.dns_s, exchange.connect_s, exchange.tls_s = progress.dns_s, progress.connect_s, progress.tls_s
        exchange.remote_address, exchange.attempts = progress.remote_address, progress.attempts
        exchange.presented(progress.chain, self._authorities.pem)
        if progress.tls_version:
            exchange.tls_version, exchange.tls_resumed = progress.tls_version, False
        return exchange.result(ending)

    def _run(self, exchange: Exchange, progress: Progress) -> None:
        """Make the requests of a check; returns when the website is up.

        Raises:
            EndingError: the website is not up.
            Exception: anything that the connection raises; `_explain` turns it into an EndingError.
        """
        while True:
            response = self._send(exchange, progress)
            try:
                answer = response.raw._original_response
                assert isinstance(answer, LenientResponse)
                exchange.transfer_s = 0.0
                exchange.http_version = {10: "1.0", 11: "1.1"}.get(answer.version)
                if exchange.head(answer.status, answer.head.fields):
                    self._read(exchange, progress, answer)
            finally:
                response.close()
            if exchange.following is None:
                exchange.ended = time.monotonic()
                exchange.end()
                return
            exchange.follow()

    def _send(self, exchange: Exchange, progress: Progress) -> requests.Response:
        """The answer to the exchange's request, headers read."""
        before, began = progress.connecting_s, time.monotonic()
        exchange.transfer_s = None
        progress.target, progress.connect_to = path_of(exchange.request.url), exchange.connect_to
        progress.client_certificate = exchange.client_certificate
        # Not Session.send: it reads the whole body of a redirect without a bound, even of one not to be followed.
        response = self._adapter.send(prepared(exchange.request), stream=True, timeout=progress.remaining_s())
        waited_s = time.monotonic() - began - (progress.connecting_s - before)
        exchange.first_byte_s = (exchange.first_byte_s or 0.0) + max(0.0, waited_s)
        return response

    def _read(self, exchange: Exchange, progress: Progress, answer: LenientResponse) -> None:
        """Read the body as it comes over the wire."""
        began, progress.phase = time.monotonic(), "reading the body"
        try:
            for piece in answer.pieces():
                if not exchange.body(piece):
                    return
        except DeadlineError:
            if not exchange.endless:
                raise
        except BodyError as error:
            raise EndingError(Reason.BODY_READ_ERROR, str(error)) from None
        except OSError as error:
            raise EndingError(Reason.BODY_READ_ERROR, _innermost(error)) from None
        finally:
            exchange.transfer_s = time.monotonic() - began

    def _explain(self, failure: Exception, exchange: Exchange, progress: Progress) -> EndingError:
        """Whose fault a failure is, and one line about it."""
        match failure:
            case DeadlineError() | requests.exceptions.Timeout():
                return timed_out(
                    exchange.check.target.settings.timeout_s, self._stalls.since(exchange.started), progress.phase
                )
            case DnsError():
                return EndingError(Reason.DNS_ERROR, str(failure))
            case ConnectError():
                return EndingError(Reason.CONNECTION_ERROR, str(failure))
            case TlsError():
                return EndingError(Reason.TLS_ERROR, str(failure))
            case UnableError():
                return EndingError(Reason.PROBER_ERROR, str(failure))
            case OwnFaultError() | MemoryError():
                return EndingError(Reason.PROBER_ERROR, f"the prober ran out of resources: {failure}")
            case _ if isinstance(failure, _BAD_URL):
                reason = Reason.REDIRECT_ERROR if exchange.hops else Reason.PROBER_ERROR
                return EndingError(reason, f"{exchange.request.url} cannot be requested")
            case _ if told := told_of_certificate(_cause(failure)):
                return EndingError(Reason.TLS_ERROR, told)
            case requests.exceptions.RequestException():
                return EndingError(Reason.CONNECTION_ERROR, _innermost(failure))
        return EndingError(Reason.PROBER_ERROR, f"internal error: {type(failure).__name__}")


def _cause(error: BaseException) -> BaseException:
    """What the lowest layer raised: the layers above wrap it in their own words and object addresses."""
    while True:
        inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None) or getattr(
            error, "reason", None
        )
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _innermost(error: BaseException) -> str:
    """What the lowest layer said."""
    error = _cause(error)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.rpartition(">: ")[2]
