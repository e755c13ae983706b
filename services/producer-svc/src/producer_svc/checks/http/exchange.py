"""One check of a website in progress, whichever engine makes it.

The engines differ in how bytes get to the website and back. Everything that decides the verdict is done here, so that
both engines reach the same verdict.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import attrs

from monitoring_core.result import MAX_NAME_LENGTH, MAX_URL_LENGTH, CheckResult, Reason, Status, one_line
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.body import Body, excerpt
from producer_svc.checks.http.cookies import Cookies
from producer_svc.checks.http.request import NO_REQUEST, REDIRECTS, Request, first_request, redirected
from producer_svc.checks.http.verdict import judge_expectation, judge_headers, judge_status_code, matches, mismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from producer_svc.check import Check, Origin
    from producer_svc.checks.certificates import Certificate
    from producer_svc.checks.http.limits import Limits


@attrs.define
class Exchange:
    """A check from its first request to its verdict. Times are seconds on the monotonic clock, durations seconds.

    Attributes:
        request: the last request; NO_REQUEST before the first.
        following: the request that a redirect asks for, until it is made.
        hops: how many redirects were followed.
        ended: when the response time ends; None for the moment at which the result is made.
        http2: whether the website speaks nothing but HTTP/2.
        stalled_s: how long this process stood still during the check, where the engine notes it.
    """

    check: Check
    origin: Origin
    limits: Limits
    started: float = attrs.field(factory=time.monotonic)
    started_at: dt.datetime = attrs.field(factory=lambda: dt.datetime.now(dt.UTC))
    request: Request = attrs.field(default=NO_REQUEST, init=False)
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
    http_version: str | None = attrs.field(default=None, init=False)
    tls_version: str | None = attrs.field(default=None, init=False)
    tls_resumed: bool | None = attrs.field(default=None, init=False)
    regexp_matched: bool | None = attrs.field(default=None, init=False)
    ended: float | None = attrs.field(default=None, init=False)
    http2: bool = attrs.field(default=False, init=False)
    stalled_s: float = attrs.field(default=0.0, init=False)
    _content_type: str | None = attrs.field(default=None, init=False)
    _body: Body | None = attrs.field(default=None, init=False)
    _excerpt: str | None = attrs.field(default=None, init=False)
    _cookies: Cookies | None = attrs.field(default=None, init=False)

    def begin(self) -> None:
        """Prepare the first request.

        Raises:
            EndingError: the target's URL cannot be requested.
        """
        self.request = first_request(self.check.target)

    def began(self, moment: float) -> None:
        """The first step was not taken when the exchange was made, but at this moment."""
        self.started_at += dt.timedelta(seconds=moment - self.started)
        self.started = moment

    @property
    def deadline(self) -> float:
        """When the budget of the check is spent."""
        return self.started + self.check.target.timeout_s

    @property
    def in_body(self) -> bool:
        """Whether the head of the last response is judged and its body is being read."""
        return self._body is not None

    def head(self, status: int, headers: Mapping[str, str]) -> bool:
        """Judge the head of a response. A redirect to follow sets `following`.

        Args:
            status: the status code.
            headers: by name in lower case; several of one name are joined with commas.

        Returns:
            Whether the body is to be read.

        Raises:
            EndingError: the check is over.
        """
        target = self.check.target
        judge_status_code(status)
        self.http_status = status
        judge_headers(headers)
        location = headers.get("location")
        if location and status in REDIRECTS and target.follow_redirects:
            if self.hops == self.limits.redirects:
                raise EndingError(Reason.REDIRECT_ERROR, f"more than {self.limits.redirects} redirects")
            self.following = redirected(self.request, status, location)
            return False
        judge_expectation(status, target.expected_status)
        self._content_type = headers.get("content-type")
        self._body = Body(self.limits.body, headers.get("content-encoding", ""))
        return self.request.method != "HEAD"

    def body(self, chunk: bytes) -> None:
        """Accept bytes of the body as they came over the wire.

        Raises:
            EndingError: the body is too large, or not compressed as its headers say.
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
        self.regexp_matched = matches(pattern, content, self._content_type)
        if not self.regexp_matched:
            if self.limits.excerpt:
                self._excerpt = excerpt(content, self.limits.excerpt)
            raise mismatch(self._body.unknown)

    def follow(self, fields: Iterable[tuple[str, str]]) -> None:
        """Go on with the request `following`, with the cookies that the fields of the answer set."""
        assert self.following is not None
        set_cookies = [value for name, value in fields if name == "set-cookie"]
        if set_cookies:
            self._cookies = self._cookies or Cookies()
            self._cookies.learn(self.request, set_cookies)
        self.request, self.following = self.following, None
        if self._cookies:
            self.request = self._cookies.sent_with(self.request)
        self.hops += 1

    def result(self, ending: EndingError | None) -> CheckResult:
        """The result; up when there is no `ending`."""
        response_time_s = (self.ended or time.monotonic()) - self.started
        reason = ending.reason if ending else None
        certificate = self.certificate
        return CheckResult(
            target_id=self.check.target.id,
            scheduled_at=self.check.scheduled_at,
            location=self.origin.location,
            producer_id=self.origin.producer_id,
            status=reason.status if reason else Status.UP,
            reason=reason,
            error=one_line(ending.detail) if ending else None,
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
            http_version=self.http_version,
            tls_version=self.tls_version,
            tls_resumed=self.tls_resumed,
        )


def _rounded(seconds: float | None) -> float | None:
    """Seconds rounded to microseconds: the clocks are no more exact."""
    return None if seconds is None else round(max(0.0, seconds), 6)
