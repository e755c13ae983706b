"""One check with requests: from the target to the verdict."""

from __future__ import annotations

import datetime as dt
import ssl
import time
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import attrs
import certifi
import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.cookies import extract_cookies_to_jar
from urllib3.poolmanager import PoolManager

from monitoring_core.clock import EPOCH
from monitoring_core.result import CheckResult, Reason, Status, one_line
from monitoring_core.target import compile_regexp, without_credentials
from producer_svc import __version__
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_core.target import Target
    from producer_svc.check import Check, Origin

USER_AGENT = f"website-availability-monitor/{__version__}"
_CHUNK = 64 * 1024
_BAD_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationParseError,
    UnicodeError,
)

_compiled = lru_cache(maxsize=10_000)(compile_regexp)


class _VerdictError(Exception):
    """The check is over, and not up."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


@attrs.define
class _Seen:
    """What a check saw of the website so far."""

    http_status: int | None = None
    first_byte_s: float | None = None
    transfer_s: float | None = None
    body_bytes: int | None = None
    regexp_matched: bool | None = None


def tls_contexts() -> dict[bool, ssl.SSLContext]:
    """The contexts for all checks, by whether the certificate is verified.

    They are shared because loading the certificate authorities costs ten times as much as a check.
    """
    verifying = ssl.create_default_context()
    verifying.load_verify_locations(certifi.where())
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
        contexts: Mapping[bool, ssl.SSLContext],
        resolver: Resolver,
        max_body: int,
        max_redirects: int,
    ) -> None:
        self._origin = origin
        self._max_body = max_body
        self._max_redirects = max_redirects
        self._adapter = _Adapter(contexts, resolver)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)

    def check(self, check: Check) -> CheckResult:
        """Run a check to its verdict. Whatever the website does, this ends with the target's timeout."""
        started_at, started = dt.datetime.now(dt.UTC), time.monotonic()
        progress = self._adapter.progress = Progress(started + check.target.timeout_s)
        self._adapter.verify = check.target.verify_tls
        seen = _Seen()
        reason: Reason | None = None
        error: str | None = None
        try:
            self._judge(check.target, progress, seen)
        except _VerdictError as verdict:
            reason, error = verdict.reason, verdict.detail
        except Exception as failure:
            reason, error = _explain(failure, check.target)
        finally:
            self._session.cookies.clear()
            self._adapter.poolmanager.clear()
        response_time_s = time.monotonic() - started
        return CheckResult(
            target_id=check.target.id,
            scheduled_at=check.scheduled_at,
            location=self._origin.location,
            producer_id=self._origin.producer_id,
            status=reason.status if reason else Status.UP,
            reason=reason,
            error=one_line(error) if error else None,
            started_at=started_at,
            finished_at=started_at + dt.timedelta(seconds=response_time_s),
            queue_delay_s=max(0.0, round(started - check.due, 6)),
            dns_s=_rounded(progress.dns_s),
            connect_s=_rounded(progress.connect_s),
            tls_s=_rounded(progress.tls_s),
            first_byte_s=_rounded(seen.first_byte_s),
            transfer_s=_rounded(seen.transfer_s),
            response_time_s=_rounded(response_time_s),
            http_status=seen.http_status,
            body_bytes=seen.body_bytes,
            regexp_matched=seen.regexp_matched,
            remote_address=progress.remote_address,
            certificate_expires_at=_moment(progress.certificate_expires),
        )

    def _judge(self, target: Target, progress: Progress, seen: _Seen) -> None:
        """Return when the website is up.

        Raises:
            _VerdictError: it is not, or anything that the connection raises.
        """
        response = self._follow(target, progress, seen)
        try:
            if response.status_code not in target.expected_status:
                expected = str(target.expected_status)
                raise _VerdictError(Reason.STATUS_MISMATCH, f"status {response.status_code}, expected {expected}")
            body = self._read(response, seen)
        finally:
            response.close()
        if target.regexp is not None and target.method != "HEAD":
            seen.regexp_matched = _compiled(target.regexp).search(_utf8(body, response.encoding)) is not None
            if not seen.regexp_matched:
                raise _VerdictError(Reason.BODY_MISMATCH, "the regular expression does not match")

    def _follow(self, target: Target, progress: Progress, seen: _Seen) -> requests.Response:
        """The response at the end of the redirects, headers read."""
        url, method = target.url, target.method
        headers = {"User-Agent": USER_AGENT, "Connection": "close"} | dict(target.headers)
        for hop in range(self._max_redirects + 1):
            try:
                response = self._send(method, url, headers, progress, seen)
            except _BAD_URL as error:
                if hop == 0:
                    raise
                raise _VerdictError(Reason.REDIRECT_ERROR, f"redirected to what is not a URL: {error}") from None
            location = self._session.get_redirect_target(response) if target.follow_redirects else None
            if not location:
                return response
            response.close()
            following = _redirected(url, location)
            if _site(following) != _site(url):
                # A target's headers may hold credentials, which are for its own site alone.
                headers = {"User-Agent": USER_AGENT, "Connection": "close"}
            url = following
        raise _VerdictError(Reason.REDIRECT_ERROR, f"more than {self._max_redirects} redirects")

    def _send(
        self, method: str, url: str, headers: dict[str, str], progress: Progress, seen: _Seen
    ) -> requests.Response:
        before, began = progress.connecting_s, time.monotonic()
        request = self._session.prepare_request(requests.Request(method, url, headers=headers))
        try:
            # Not Session.send: it reads the whole body of a redirect, without a bound, even when it is not to follow.
            response = self._adapter.send(request, stream=True, timeout=progress.remaining_s())
        finally:
            waited_s = time.monotonic() - began - (progress.connecting_s - before)
        extract_cookies_to_jar(self._session.cookies, request, response.raw)  # type: ignore[no-untyped-call]  # untyped
        seen.http_status = response.status_code
        seen.first_byte_s = (seen.first_byte_s or 0.0) + max(0.0, waited_s)
        return response

    def _read(self, response: requests.Response, seen: _Seen) -> bytes:
        """The body, decompressed, up to the limit."""
        began = time.monotonic()
        body = bytearray()
        try:
            while chunk := response.raw.read(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > self._max_body:
                    raise _VerdictError(Reason.BODY_TOO_LARGE, f"the body is larger than {self._max_body} bytes")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _VerdictError(Reason.BODY_READ_ERROR, _innermost(error)) from None
        finally:
            seen.transfer_s = time.monotonic() - began
            seen.body_bytes = len(body)
        return bytes(body)


class _Adapter(HTTPAdapter):
    """requests' adapter, on connections that keep the budget and with shared TLS contexts."""

    progress: Progress
    verify: bool

    def __init__(self, contexts: Mapping[bool, ssl.SSLContext], resolver: Resolver) -> None:
        self._contexts = contexts
        self._resolver = resolver
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = pool_classes(self._resolver, lambda: self.progress)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        context = {"ssl_context": self._contexts[self.verify]} if str(request.url).startswith("https") else {}
        return self.poolmanager.connection_from_url(str(request.url), pool_kwargs=context)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the shared context knows whether and against what to verify."""


def _explain(failure: Exception, target: Target) -> tuple[Reason, str]:
    """The reason of a failure, and one line that is free of the target's credentials."""
    match failure:
        case DeadlineError() | requests.exceptions.Timeout():
            return Reason.TIMEOUT, f"not finished within {target.timeout_s:g} s"
        case DnsError():
            return Reason.DNS_ERROR, str(failure)
        case ConnectError():
            return Reason.CONNECTION_ERROR, str(failure)
        case TlsError():
            return Reason.TLS_ERROR, str(failure)
        case OwnFaultError() | MemoryError():
            return Reason.PROBER_ERROR, f"the prober ran out of resources: {failure}"
        case requests.exceptions.ConnectionError() | requests.exceptions.RequestException() if not isinstance(
            failure, _BAD_URL
        ):
            return Reason.CONNECTION_ERROR, _innermost(failure)
        case _ if isinstance(failure, _BAD_URL):
            return Reason.PROBER_ERROR, f"{without_credentials(target.url)} cannot be requested"
    return Reason.PROBER_ERROR, f"internal error: {type(failure).__name__}"


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


def _utf8(body: bytes, encoding: str | None) -> bytes:
    """The body as UTF-8, which is what the regular expression is searched in."""
    if encoding is None or encoding.lower() in ("utf-8", "utf8", "ascii", "us-ascii"):
        return body
    try:
        return body.decode(encoding, "replace").encode()
    except (LookupError, UnicodeError):
        return body


def _redirected(url: str, location: str) -> str:
    """Where a redirect leads."""
    try:
        following = urljoin(url, location)
        _site(following)
    except ValueError:
        raise _VerdictError(Reason.REDIRECT_ERROR, "redirected to what is not a URL") from None
    if urlsplit(following).scheme not in ("http", "https"):
        raise _VerdictError(Reason.REDIRECT_ERROR, "redirected to a URL that is not http or https")
    return following


def _site(url: str) -> tuple[str | None, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _moment(epoch_s: int | None) -> dt.datetime | None:
    return None if epoch_s is None else EPOCH + dt.timedelta(seconds=epoch_s)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
