"""Cookies that a website sets on the way through its redirects (RFC 6265bis), kept for one check."""

from __future__ import annotations

import ipaddress
import time
from http.cookiejar import http2time  # type: ignore[attr-defined]
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from producer_svc.checks.http.request import Request

# RFC 6265bis, section 5.6: longer ones are ignored.
_MAX_LENGTH = 4096


@attrs.frozen
class _Cookie:
    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool

    def belongs_to(self, url: SplitResult) -> bool:
        """Whether it is sent with a request to this URL (sections 5.1.3, 5.1.4 and 5.8.3)."""
        host, path = url.hostname or "", url.path or "/"
        same_host = host == self.domain or (not self.host_only and _is_under(host, self.domain))
        below = path == self.path or path.startswith(self.path if self.path.endswith("/") else f"{self.path}/")
        return same_host and below and (url.scheme == "https" or not self.secure)


class Cookies:
    """The cookies of one check, in the order in which they were set."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], _Cookie] = {}

    def learn(self, request: Request, set_cookies: Iterable[str]) -> None:
        """Keep what the answer to a request sets, in the values of its Set-Cookie fields."""
        url = urlsplit(request.url)
        for value in set_cookies:
            self._set(url, value)

    def sent_with(self, request: Request) -> Request:
        """The request with the cookies that belong to it, on one line with those that it has already."""
        url = urlsplit(request.url)
        found = [cookie for cookie in self._kept.values() if cookie.belongs_to(url)]
        if not found:
            return request
        found.sort(key=lambda cookie: -len(cookie.path))
        names = {cookie.name for cookie in found}
        own = [
            pair
            for name, value in request.headers
            if name.lower() == "cookie"
            for pair in (part.strip() for part in value.split(";"))
            if pair and pair.partition("=")[0] not in names
        ]
        pairs = own + [f"{cookie.name}={cookie.value}" if cookie.name else cookie.value for cookie in found]
        others = tuple((name, value) for name, value in request.headers if name.lower() != "cookie")
        return attrs.evolve(request, headers=(*others, ("Cookie", "; ".join(pairs))))

    def _set(self, url: SplitResult, text: str) -> None:
        """Section 5.6 and 5.7, without the parts for a browser's pages and windows."""
        pair, *rest = text.split(";")
        name, equals, value = pair.partition("=")
        name, value = (name.strip(), value.strip()) if equals else ("", pair.strip())
        if not (name or value) or len(name) + len(value) > _MAX_LENGTH:
            return
        attributes = {key.strip().lower(): said.strip() for key, _, said in (part.partition("=") for part in rest)}
        host = url.hostname or ""
        domain = attributes.get("domain", "").removeprefix(".").lower()
        if domain and domain != host and not _is_under(host, domain):
            return
        path = attributes.get("path", "")
        if not path.startswith("/"):
            path = url.path.rpartition("/")[0] or "/"
        cookie = _Cookie(name, value, domain or host, not domain, path, "secure" in attributes)
        key = (cookie.name, cookie.domain, cookie.path)
        if _is_over(attributes):
            self._kept.pop(key, None)
        elif not (cookie.secure and url.scheme != "https"):
            self._kept[key] = cookie


def _is_over(attributes: dict[str, str]) -> bool:
    """Whether the cookie is deleted by being set; Max-Age goes before Expires."""
    age = attributes.get("max-age", "")
    if age.removeprefix("-").isdecimal():
        return int(age) <= 0
    expires = http2time(attributes.get("expires", ""))
    return expires is not None and expires <= time.time()


def _is_under(host: str, domain: str) -> bool:
    """Whether a host is a name under a domain."""
    if not host.endswith(f".{domain}"):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
