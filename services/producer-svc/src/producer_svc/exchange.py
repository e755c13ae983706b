"""One check in progress, whichever engine makes it: what is asked for, and what the answers mean.

The engines differ in how bytes get to the website and back. Everything that decides the verdict is here, so that they
agree.
"""

from __future__ import annotations

import base64
import datetime as dt
import time
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urljoin, urlsplit, urlunsplit

import attrs
import requests

from monitoring_core.clock import EPOCH
from monitoring_core.result import MAX_NAME_LENGTH, MAX_URL_LENGTH, CheckResult, Reason, Status, one_line
from monitoring_core.target import PLAIN_URL, compile_regexp, without_credentials
from producer_svc import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_core.config import MonitorConfig
    from producer_svc.check import Check, Origin

USER_AGENT = f"website-availability-monitor/{__version__}"
MAX_RESPONSE_HEADERS = 100
MAX_HEADER_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TO_GET = frozenset({301, 302, 303})
_DEFAULT_HEADERS = (
    ("User-Agent", USER_AGENT),
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Connection", "close"),
)
_WBITS = {"gzip": 47, "x-gzip": 47, "deflate": 47}
_RAW_DEFLATE_WBITS = -15
_compiled = lru_cache(maxsize=10_000)(compile_regexp)


class EndingError(Exception):
    """The check is over, and not up."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


@attrs.frozen
class Limits:
    """What bounds a check besides its time.

    Attributes:
        body: bytes of the body, decompressed.
        excerpt: bytes of an unmatched body that are kept.
    """

    body: int
    redirects: int
    excerpt: int

    @classmethod
    def of(cls, config: MonitorConfig) -> Limits:
        """The limits in the configuration."""
        return cls(config.max_body, config.max_redirects, config.body_excerpt)


@attrs.frozen
class Request:
    """One request of a check. The URL is normalised and free of credentials: they are in the headers."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)


@attrs.define
class Exchange:
    """A check from its first request to its verdict. Times are seconds on the monotonic clock, durations seconds.

    Attributes:
        request: the last one; empty until there is one.
        ended: when the website had done what the verdict is about; None, when the result is made.
    """

    check: Check
    limits: Limits
    started: float = attrs.field(factory=time.monotonic)
    started_at: dt.datetime = attrs.field(factory=lambda: dt.datetime.now(dt.UTC))
    request: Request = attrs.field(init=False, factory=lambda: Request("", "", ()))
    following: Request | None = attrs.field(default=None, init=False)
    hops: int = attrs.field(default=0, init=False)
    dns_s: float | None = attrs.field(default=None, init=False)
    connect_s: float | None = attrs.field(default=None, init=False)
    tls_s: float | None = attrs.field(default=None, init=False)
    first_byte_s: float | None = attrs.field(default=None, init=False)
    transfer_s: float | None = attrs.field(default=None, init=False)
    http_status: int | None = attrs.field(default=None, init=False)
    remote_address: str | None = attrs.field(default=None, init=False)
    certificate: Certificate | None = attrs.field(default=None, init=False)
    regexp_matched: bool | None = attrs.field(default=None, init=False)
    ended: float | None = attrs.field(default=None, init=False)
    _content_type: str | None = attrs.field(default=None, init=False)
    _body: Body | None = attrs.field(default=None, init=False)
    _excerpt: str | None = attrs.field(default=None, init=False)

    def begin(self) -> None:
        """Make the first request.

        Raises:
            EndingError: the target's URL cannot be requested.
        """
        target = self.check.target
        try:
            self.request = _request(target.method, target.url, target.headers, target.body)
        except ValueError:
            detail = f"{without_credentials(target.url)} cannot be requested"
            raise EndingError(Reason.PROBER_ERROR, detail) from None

    @property
    def deadline(self) -> float:
        """When the budget of the check is spent."""
        return self.started + self.check.target.timeout_s

    @property
    def in_body(self) -> bool:
        """Whether the head of the response that is awaited is already judged."""
        return self._body is not None

    def head(self, status: int, headers: Mapping[str, str]) -> bool:
        """Judge the head of a response; whether its body is wanted. Then there may be a request `following`.

        Args:
            status: the status code.
            headers: by name (any letter case finds it); several of one name are joined with commas.

        Raises:
            EndingError: the check is over.
        """
        target = self.check.target
        if not 200 <= status <= 999:
            raise EndingError(Reason.CONNECTION_ERROR, f"the answer is not HTTP: status {status}")
        self.http_status = status
        length = headers.get("content-length")
        if length is not None and "transfer-encoding" not in headers and not _is_length(length):
            raise EndingError(Reason.CONNECTION_ERROR, "the answer is not HTTP: malformed Content-Length")
        if any("\0" in value for value in headers.values()):
            raise EndingError(Reason.CONNECTION_ERROR, "the answer is not HTTP: NUL in a header")
        location = headers.get("location")
        if location and status in _REDIRECTS and target.follow_redirects:
            if self.hops == self.limits.redirects:
                raise EndingError(Reason.REDIRECT_ERROR, f"more than {self.limits.redirects} redirects")
            self.following = self._redirected(status, location)
            return False
        if status not in target.expected_status:
            raise EndingError(Reason.STATUS_MISMATCH, f"status {status}, expected {target.expected_status}")
        self._content_type = headers.get("content-type")
        self._body = Body(self.limits.body, headers.get("content-encoding", ""))
        return self.request.method != "HEAD"

    def body(self, chunk: bytes) -> None:
        """Take bytes of the body as they came over the wire.

        Raises:
            EndingError: it is too large, or not what it says to be.
        """
        assert self._body is not None, "the head comes first"
        self._body.feed(chunk)

    def end(self) -> None:
        """Judge the whole response.

        Raises:
            EndingError: the website is not up.
        """
        if self._body is None or self.request.method == "HEAD":
            return
        content = self._body.finish()
        pattern = self.check.target.regexp
        if pattern is None:
            return
        self.regexp_matched = _compiled(pattern).search(_utf8(content, self._content_type)) is not None
        if not self.regexp_matched:
            if self.limits.excerpt:
                self._excerpt = _excerpt(content, self.limits.excerpt)
            unknown = f" (the body is encoded as {self._body.unknown!r})" if self._body.unknown else ""
            raise EndingError(Reason.BODY_MISMATCH, f"the regular expression does not match{unknown}")

    def follow(self) -> None:
        """Go on with the request `following`."""
        assert self.following is not None
        self.request, self.following = self.following, None
        self.hops += 1

    def result(self, origin: Origin, failure: EndingError | None) -> CheckResult:
        """The result."""
        response_time_s = (self.ended or time.monotonic()) - self.started
        reason = failure.reason if failure else None
        certificate = self.certificate
        return CheckResult(
            target_id=self.check.target.id,
            scheduled_at=self.check.scheduled_at,
            location=origin.location,
            producer_id=origin.producer_id,
            status=reason.status if reason else Status.UP,
            reason=reason,
            error=one_line(failure.detail) if failure else None,
            started_at=self.started_at,
            finished_at=self.started_at + dt.timedelta(seconds=response_time_s),
            queue_delay_s=max(0.0, round(self.started - self.check.due, 6)),
            dns_s=_rounded(self.dns_s),
            connect_s=_rounded(self.connect_s),
            tls_s=_rounded(self.tls_s),
            first_byte_s=_rounded(self.first_byte_s),
            transfer_s=_rounded(self.transfer_s),
            response_time_s=_rounded(response_time_s),
            http_status=self.http_status,
            body_bytes=None if self._body is None or self.request.method == "HEAD" else self._body.size,
            regexp_matched=self.regexp_matched,
            remote_address=self.remote_address,
            certificate_expires_at=certificate.expires_at if certificate else None,
            final_url=self.request.url[:MAX_URL_LENGTH] or None if reason else None,
            certificate_subject=one_line(certificate.subject, MAX_NAME_LENGTH) if reason and certificate else None,
            certificate_issuer=one_line(certificate.issuer, MAX_NAME_LENGTH) if reason and certificate else None,
            body_excerpt=self._excerpt,
        )

    def _redirected(self, status: int, location: str) -> Request:
        """The request that a redirect asks for. A target's headers may hold credentials: its own site alone gets them.

        Raises:
            EndingError: it leads to what is not a website.
        """
        now = self.request
        try:
            # What servers send is UTF-8, whatever the standard says.
            location = location.encode("latin-1").decode("utf-8", "replace")
            url = urljoin(now.url, location)
            if urlsplit(url).scheme not in ("http", "https"):
                raise EndingError(Reason.REDIRECT_ERROR, "redirected to a URL that is not http or https")
            same_site = _site(url) == _site(now.url)
            method = "GET" if status in _TO_GET and now.method == "POST" else now.method
            body = now.body if method == now.method else None
            following = _request(method, url, (), body)
        except ValueError:
            raise EndingError(Reason.REDIRECT_ERROR, "redirected to what is not a URL") from None
        return attrs.evolve(following, headers=now.headers) if same_site else following


@attrs.frozen
class Certificate:
    """What a website's certificate says."""

    expires_at: dt.datetime | None
    subject: str = ""
    issuer: str = ""

    @classmethod
    def expiring(cls, epoch_s: float, subject: str = "", issuer: str = "") -> Certificate:
        """A certificate that expires so many seconds after the epoch."""
        return cls(EPOCH + dt.timedelta(seconds=epoch_s), subject, issuer)


class Body:
    """A body as it comes: decompressed, and never larger than a limit, not even for a moment.

    Attributes:
        size: bytes so far, decompressed.
        unknown: the content encoding, if it is one that was not asked for; the body is then taken as it is.
    """

    def __init__(self, limit: int, encoding: str) -> None:
        encoding = encoding.strip().lower()
        self._limit = limit
        self._content = bytearray()
        self._wbits = _WBITS.get(encoding)
        self._decoder = zlib.decompressobj(self._wbits) if self._wbits else None
        self._begun = False
        self.unknown = encoding if encoding not in ("", "identity") and self._wbits is None else ""

    @property
    def size(self) -> int:
        return len(self._content)

    def feed(self, chunk: bytes) -> None:
        """Take bytes of the wire.

        Raises:
            EndingError: body_too_large or body_read_error.
        """
        if self._decoder is None:
            self._content += chunk
        else:
            try:
                self._inflate(chunk)
            except zlib.error:
                raise EndingError(Reason.BODY_READ_ERROR, "the body is not compressed as it says") from None
        if len(self._content) > self._limit:
            raise EndingError(Reason.BODY_TOO_LARGE, f"the body is larger than {self._limit} bytes")

    def finish(self) -> bytes:
        """The whole body.

        Raises:
            EndingError: body_read_error, it is compressed and ends in the middle.
        """
        if self._decoder is not None and self._begun and not self._decoder.eof:
            raise EndingError(Reason.BODY_READ_ERROR, "the compressed body ends in the middle")
        return bytes(self._content)

    def _inflate(self, chunk: bytes) -> None:
        while chunk and len(self._content) <= self._limit:
            assert self._decoder is not None
            if self._decoder.eof:  # gzip may hold several members (RFC 1952, section 2.2)
                self._decoder = zlib.decompressobj(self._wbits or 47)
            try:
                self._content += self._decoder.decompress(chunk, self._limit + 1 - len(self._content))
            except zlib.error:
                if self._begun:
                    raise
                # `deflate` means zlib, but some servers send the bare stream.
                self._decoder = zlib.decompressobj(_RAW_DEFLATE_WBITS)
                self._content += self._decoder.decompress(chunk, self._limit + 1 - len(self._content))
            self._begun = True
            chunk = self._decoder.unconsumed_tail or self._decoder.unused_data


@lru_cache(maxsize=1_000)
def _headers(own: tuple[tuple[str, str], ...], authorization: str | None) -> tuple[tuple[str, str], ...]:
    """The headers of a request: the prober's, those of the target in their place, and the URL's credentials."""
    named = {name.lower() for name, _ in own}
    if authorization and "authorization" not in named:
        own = (*own, ("Authorization", authorization))
    return (*((name, value) for name, value in _DEFAULT_HEADERS if name.lower() not in named), *own)


def _request(method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes | None) -> Request:
    """A request, its URL normalised as requests does it.

    Raises:
        ValueError: it is no URL that can be requested.
    """
    authorization = None
    if not PLAIN_URL.fullmatch(url):
        parts = urlsplit(url)
        if "@" in parts.netloc:
            credentials, _, place = parts.netloc.rpartition("@")
            encoded = base64.b64encode(b":".join(unquote_to_bytes(part) for part in _pair(credentials)))
            authorization = f"Basic {encoded.decode()}"
            url = urlunsplit(parts._replace(netloc=place))
        prepared = requests.Request("GET", url).prepare().url  # its errors are ValueErrors
        if prepared is None or urlsplit(prepared).port == 0:
            raise ValueError("not a URL")
        url = prepared.partition("#")[0]
    return Request(method, url, _headers(headers, authorization), body)


def _pair(credentials: str) -> tuple[str, str]:
    user, _, password = credentials.partition(":")
    return user, password


def _site(url: str) -> tuple[str | None, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _is_length(text: str) -> bool:
    """Whether it is one number, perhaps repeated (RFC 9110, section 8.6)."""
    lengths = {part.strip() for part in text.split(",")}
    return len(lengths) == 1 and lengths.pop().isdecimal()


def _utf8(body: bytes, content_type: str | None) -> bytes:
    """The body as UTF-8, which is what the regular expression is searched in."""
    _, charset, rest = (content_type or "").lower().partition("charset=")
    encoding = rest.partition(";")[0].strip(" \t'\"") if charset else ""
    if encoding in ("", "utf-8", "utf8", "ascii", "us-ascii"):
        return body
    try:
        return body.decode(encoding, "replace").encode()
    except (LookupError, UnicodeError):
        return body


def _excerpt(content: bytes, limit: int) -> str:
    """The first bytes as text for a person: line breaks and tabs stay, other control characters do not."""
    text = content[:limit].decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)[:limit]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 6)
