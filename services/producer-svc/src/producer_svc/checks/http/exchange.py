"""One check of a website in progress, whichever engine makes it.

The engines differ in how bytes get to the website and back. Everything that decides the verdict is done here, so that
both engines reach the same verdict.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from monitoring_core.result import MAX_NAME_LENGTH, MAX_URL_LENGTH, CheckResult, Reason, Status, one_line
from producer_svc.checks.certificates import Certificate, first_to_expire, read_certificate
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.body import Body, excerpt
from producer_svc.checks.http.charset import to_utf8
from producer_svc.checks.http.cookies import Cookies
from producer_svc.checks.http.head import Head
from producer_svc.checks.http.request import NO_REQUEST, REDIRECTS, Request, first_request, redirected
from producer_svc.checks.http.urls import authority_of
from producer_svc.checks.http.verdict import (
    judge_expectation,
    judge_forbidden,
    judge_head,
    judge_headers,
    matches,
    mismatch,
)
from producer_svc.checks.network import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_core.config import HttpVersion
    from producer_svc.check import Check, Origin
    from producer_svc.checks.http.limits import Limits


@attrs.define
class Exchange:
    """A check from its first request to its verdict. Times are seconds on the monotonic clock, durations seconds.

    Attributes:
        request: the last request; NO_REQUEST before the first.
        following: the request that a redirect asks for, until it is made.
        hops: how many redirects were followed.
        ended: when the response time ends; None for the moment at which the result is made.
        attempts: every address that the last connection was tried with, and what came of it.
        chain_end: the certificate that expires first of those that the trust in the website rests on.
        endless: whether the last response is a stream whose time to end is over when the check's is.
        only: the version of HTTP that the website wants, if it has refused the one it was asked in.
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
    attempts: Sequence[tuple[str, str]] = attrs.field(default=(), init=False)
    certificate: Certificate | None = attrs.field(default=None, init=False)
    chain_end: Certificate | None = attrs.field(default=None, init=False)
    http_version: str | None = attrs.field(default=None, init=False)
    tls_version: str | None = attrs.field(default=None, init=False)
    tls_resumed: bool | None = attrs.field(default=None, init=False)
    regexp_matched: bool | None = attrs.field(default=None, init=False)
    ended: float | None = attrs.field(default=None, init=False)
    only: HttpVersion | None = attrs.field(default=None, init=False)
    endless: bool = attrs.field(default=False, init=False)
    stalled_s: float = attrs.field(default=0.0, init=False)
    # The last request without the cookies of the way.
    _plain: Request = attrs.field(default=NO_REQUEST, init=False)
    # The host of the first request.
    _home: str | None = attrs.field(default=None, init=False)
    _content_type: str | None = attrs.field(default=None, init=False)
    _body: Body | None = attrs.field(default=None, init=False)
    _excerpt: str | None = attrs.field(default=None, init=False)
    _cookies: Cookies | None = attrs.field(default=None, init=False)

    def begin(self) -> None:
        """Prepare the first request.

        Raises:
            EndingError: the target's URL cannot be requested.
        """
        self._plain = self.request = first_request(self.check.target)
        if self.check.target.settings.connect_to or self.check.target.settings.client_certificate:
            self._home = urlsplit(self.request.url).hostname

    def began(self, moment: float) -> None:
        """The first step was not taken when the exchange was made, but at this moment."""
        self.started_at += dt.timedelta(seconds=moment - self.started)
        self.started = moment

    @property
    def deadline(self) -> float:
        """When the budget of the check is spent."""
        return self.started + self.check.target.settings.timeout_s

    @property
    def connect_to(self) -> tuple[str, int | None] | None:
        """Where to connect in place of the host of the request, which is so for the target's own host alone."""
        place = self.check.target.settings.connect_to
        return place if place and urlsplit(self.request.url).hostname == self._home else None

    @property
    def client_certificate(self) -> str | None:
        """The name of the certificate to show, which is shown over TLS and to the target's own host alone."""
        name = self.check.target.settings.client_certificate
        if name is None:
            return None
        parts = urlsplit(self.request.url)
        return name if parts.scheme == "https" and parts.hostname == self._home else None

    def head(self, status: int, fields: Sequence[tuple[str, str]]) -> bool:
        """Judge the head of a response. A redirect to follow sets `following`.

        Args:
            status: the status code.
            fields: names, in lower case, and values in their order, with a character for each byte.

        Returns:
            Whether the body is to be read.

        Raises:
            EndingError: the check is over.
        """
        target, head = self.check.target, Head(status, fields)
        judge_head(head)
        self.http_status = status
        if target.settings.follow_redirects and status in REDIRECTS and (location := head.first("location")):
            if self.hops == self.limits.redirects:
                raise EndingError(Reason.REDIRECT_ERROR, f"more than {self.limits.redirects} redirects")
            if len(set(head.all("location"))) > 1:
                raise EndingError(Reason.REDIRECT_ERROR, "redirected to several places at once")
            self.following = redirected(self._plain, status, location)
            if set_cookies := head.all("set-cookie"):
                self._cookies = self._cookies or Cookies()
                self._cookies.learn(self.request, set_cookies)
            return False
        judge_expectation(status, target.settings.expected_status)
        if target.settings.expected_headers:
            judge_headers(head, target.settings.expected_headers)
        self._content_type, self.endless = ", ".join(head.all("content-type")) or None, head.is_endless
        if self.endless and not target.settings.looks_into_body:
            return False  # it is there; nobody can wait for its end
        self._body = Body(self.limits.body, head.encoding)
        return self.request.method != "HEAD"

    def body(self, chunk: bytes, cut: bool = False) -> bool:
        """Accept bytes of the body as they came over the wire.

        Args:
            cut: whether more came that was left.

        Returns:
            Whether there is use in more of them.

        Raises:
            EndingError: the body is not compressed as its headers say.
        """
        assert self._body is not None, "the head comes first"
        self._body.feed(chunk)
        self._body.cut = self._body.cut or cut
        return not self._body.cut

    def end(self) -> None:
        """Judge the whole response.

        Raises:
            EndingError: the website is not up.
        """
        if self._body is None or self.request.method == "HEAD":
            return
        content, target = self._body.finish(), self.check.target
        if not target.settings.looks_into_body:
            return
        text = to_utf8(content, self._content_type)
        judge_forbidden(text, target.settings.forbidden_regexps)
        for pattern in target.settings.regexps:
            self.regexp_matched = matches(pattern, text)
            if not self.regexp_matched:
                if self._body.cut:
                    raise self.limits.exceeded()
                self._keep(content)
                raise mismatch(pattern, self._body.unknown)
        if target.settings.expected_json:
            if self._body.cut:
                raise self.limits.exceeded()
            # Few targets need the library of JSON paths.
            from producer_svc.checks.http.json_body import judge_json

            try:
                judge_json(text, target.settings.expected_json)
            except EndingError:
                self._keep(content)
                raise

    def _keep(self, content: bytes) -> None:
        """Keep the beginning of a body in which something was not found."""
        if self.limits.excerpt:
            self._excerpt = excerpt(content, self.limits.excerpt)

    def presented(self, certificates: Sequence[bytes], authorities: str) -> None:
        """Note the certificates that the website presented, DER, its own first; authorities in PEM are trusted."""
        if certificates:
            self.certificate = read_certificate(certificates[0])
            self.chain_end = first_to_expire(tuple(certificates), authorities)

    def follow(self) -> None:
        """Go on with the request `following`, with the cookies that were set on the way."""
        assert self.following is not None
        if self.only and authority_of(self.following.url) != authority_of(self.request.url):
            self.only = None
        self._plain = self.request = self.following
        self.following = None
        if self._cookies:
            self.request = self._cookies.sent_with(self.request)
        self.hops += 1

    def result(self, ending: EndingError | None) -> CheckResult:
        """The result; up when there is no `ending`."""
        response_time_s = (self.ended or time.monotonic()) - self.started
        reason = ending.reason if ending else None
        certificate, chain_end = self.certificate, self.chain_end
        return CheckResult(
            target_id=self.check.target.id,
            scheduled_at=self.check.scheduled_at,
            location=self.origin.location,
            producer_id=self.origin.producer_id,
            status=reason.status if reason else Status.UP,
            reason=reason,
            error=one_line(self._explained(ending)) if ending else None,
            started_at=self.started_at,
            finished_at=self.started_at + dt.timedelta(seconds=response_time_s),
            queue_delay_s=_rounded(max(0.0, self.started - self.check.due)),
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
            redirects=self.hops,
            addresses_tried=one_line(told(self.attempts)) if len(self.attempts) > 1 else None,
            chain_expires_at=chain_end.expires_at if chain_end else None,
            chain_expires_subject=(
                one_line(chain_end.subject, MAX_NAME_LENGTH) if chain_end and chain_end != certificate else None
            ),
        )

    def _explained(self, ending: EndingError) -> str:
        """What went wrong; of an expired certificate that is not the website's own, also which one it is."""
        end = self.chain_end
        if ending.reason is not Reason.TLS_ERROR or end is None or end == self.certificate:
            return ending.detail
        if end.expires_at is None or end.expires_at > dt.datetime.now(dt.UTC):
            return ending.detail
        return f"{ending.detail}: {end.subject}, which ended {end.expires_at:%Y-%m-%d %H:%M} UTC"


def _rounded(seconds: float | None) -> float | None:
    """Seconds, 0 or more, rounded to microseconds: the clocks are no more exact.

    `round` would take three times as long, and a check has six of them.
    """
    return None if seconds is None else int(seconds * 1e6 + 0.5) / 1e6
