"""One check with requests."""

from __future__ import annotations

import http.client
import ssl
import time
import warnings
from email import errors as email_errors
from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from urllib3.poolmanager import PoolManager

from monitoring_core.result import Reason
from producer_svc.adapters.connection import (
    BudgetTlsSocket,
    ConnectError,
    DeadlineError,
    DnsError,
    OwnFaultError,
    Progress,
    Resolver,
    TlsError,
    pool_classes,
)
from producer_svc.adapters.network import DeniedNetworks, trusted_authorities
from producer_svc.exchange import EndingError, Exchange, Limits, Request
from producer_svc.stalls import StallWatch, timed_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_core.result import CheckResult
    from producer_svc.check import Check, Origin

_CHUNK = 64 * 1024
_BAD_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationParseError,
    UnicodeError,
)
# What the standard library's parser says of lines that are no headers, and then goes on as if they were body.
_MALFORMED = (
    email_errors.MissingHeaderBodySeparatorDefect,
    email_errors.FirstHeaderLineIsContinuationDefect,
    email_errors.InvalidHeaderDefect,
)


def tls_contexts() -> dict[bool, ssl.SSLContext]:
    """The contexts for all checks, by whether the certificate is verified.

    They are shared because loading the certificate authorities costs ten times as much as a check.
    """
    verifying = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    verifying.load_verify_locations(cadata=trusted_authorities())
    trusting = ssl._create_unverified_context()  # noqa: S323 (only for targets with verify_tls false)
    # The target says so; a line on standard error for each of its checks would help nobody.
    warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
    for context in (verifying, trusting):
        context.sslsocket_class = BudgetTlsSocket
    return {True: verifying, False: trusting}


class Probe:
    """Checks one target at a time, each on a fresh connection. Not for more than one thread at once."""

    def __init__(
        self,
        origin: Origin,
        limits: Limits,
        contexts: Mapping[bool, ssl.SSLContext],
        resolver: Resolver,
        networks: DeniedNetworks,
        stalls: StallWatch,
    ) -> None:
        self._origin = origin
        self._limits = limits
        self._stalls = stalls
        self._adapter = _Adapter(contexts, resolver, networks)

    def check(self, check: Check) -> CheckResult:
        """Run a check to its verdict. Whatever the website does, this ends with the target's timeout."""
        exchange = Exchange(check, self._limits)
        progress = self._adapter.progress = Progress(exchange.deadline)
        self._adapter.verify = check.target.verify_tls
        ending: EndingError | None = None
        try:
            exchange.begin()
            self._run(exchange, progress)
        except EndingError as raised:
            ending = raised
        except Exception as failure:
            ending = self._explain(failure, exchange)
        finally:
            self._adapter.poolmanager.clear()
        exchange.dns_s, exchange.connect_s, exchange.tls_s = progress.dns_s, progress.connect_s, progress.tls_s
        exchange.remote_address, exchange.certificate = progress.remote_address, progress.certificate
        exchange.ended = progress.refused
        return exchange.result(self._origin, ending)

    def _run(self, exchange: Exchange, progress: Progress) -> None:
        """Return when the website is up.

        Raises:
            EndingError: it is not, or anything that the connection raises.
        """
        cookies: RequestsCookieJar | None = None
        while True:
            response = self._send(exchange, progress, cookies)
            if "set-cookie" in response.headers:
                cookies = cookies or RequestsCookieJar()
                extract_cookies_to_jar(cookies, response.request, response.raw)  # type: ignore[no-untyped-call]
            try:
                if exchange.head(response.status_code, response.headers):
                    self._read(exchange, response)
            finally:
                response.close()
            if exchange.following is None:
                exchange.end()
                return
            exchange.follow()

    def _send(self, exchange: Exchange, progress: Progress, cookies: RequestsCookieJar | None) -> requests.Response:
        """The response to the exchange's request, headers read."""
        before, began = progress.connecting_s, time.monotonic()
        prepared, progress.header_bytes = _prepared(exchange.request, cookies), 0
        try:
            # Not Session.send: it reads the whole body of a redirect, without a bound, even when it is not to follow.
            response = self._adapter.send(prepared, stream=True, timeout=progress.remaining_s())
        finally:
            progress.header_bytes = None
            waited_s = time.monotonic() - began - (progress.connecting_s - before)
        exchange.first_byte_s = (exchange.first_byte_s or 0.0) + max(0.0, waited_s)
        message = getattr(getattr(response.raw, "_original_response", None), "msg", None)
        if any(isinstance(defect, _MALFORMED) for defect in getattr(message, "defects", ())):
            response.close()
            raise EndingError(Reason.CONNECTION_ERROR, "the answer is not HTTP: malformed header")
        return response

    def _read(self, exchange: Exchange, response: requests.Response) -> None:
        """The body, as it comes over the wire."""
        began = time.monotonic()
        try:
            while chunk := response.raw.read(_CHUNK, decode_content=False):
                exchange.body(chunk)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise EndingError(Reason.BODY_READ_ERROR, _innermost(error)) from None
        finally:
            exchange.transfer_s = time.monotonic() - began

    def _explain(self, failure: Exception, exchange: Exchange) -> EndingError:
        """Whose fault a failure is, and one line about it."""
        match failure:
            case DeadlineError() | requests.exceptions.Timeout():
                return timed_out(exchange.started, exchange.check.target.timeout_s, self._stalls)
            case DnsError():
                return EndingError(Reason.DNS_ERROR, str(failure))
            case ConnectError():
                return EndingError(Reason.CONNECTION_ERROR, str(failure))
            case TlsError():
                return EndingError(Reason.TLS_ERROR, str(failure))
            case OwnFaultError() | MemoryError():
                return EndingError(Reason.PROBER_ERROR, f"the prober ran out of resources: {failure}")
            case _ if isinstance(failure, _BAD_URL):
                reason = Reason.REDIRECT_ERROR if exchange.hops else Reason.PROBER_ERROR
                return EndingError(reason, f"{exchange.request.url} cannot be requested")
            case requests.exceptions.RequestException():
                return EndingError(Reason.CONNECTION_ERROR, _innermost(failure))
        return EndingError(Reason.PROBER_ERROR, f"internal error: {type(failure).__name__}")


class _Adapter(HTTPAdapter):
    """requests' adapter, on connections that keep the budget and with shared TLS contexts."""

    progress: Progress
    verify: bool

    def __init__(self, contexts: Mapping[bool, ssl.SSLContext], resolver: Resolver, networks: DeniedNetworks) -> None:
        self._contexts = contexts
        self._resolver = resolver
        self._networks = networks
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = pool_classes(
            self._resolver, self._networks, self._contexts[False], lambda: self.progress
        )

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        context = {"ssl_context": self._contexts[self.verify]} if str(request.url).startswith("https") else {}
        return self.poolmanager.connection_from_url(str(request.url), pool_kwargs=context)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the shared context knows whether and against what to verify."""


def _prepared(request: Request, cookies: RequestsCookieJar | None) -> requests.PreparedRequest:
    """What requests sends. Its own `prepare` would normalise the URL again, for a tenth of the cost of a check."""
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url, prepared.body = request.method, request.url, request.body
    prepared.headers = CaseInsensitiveDict(request.headers)
    if request.method == "POST":
        prepared.prepare_content_length(request.body)
    if cookies:
        prepared.prepare_cookies(cookies)
    return prepared


def _innermost(error: BaseException) -> str:
    """What the lowest layer said: the layers above wrap it in their own words and object addresses."""
    while True:
        inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None) or getattr(
            error, "reason", None
        )
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.rpartition(">: ")[2]
