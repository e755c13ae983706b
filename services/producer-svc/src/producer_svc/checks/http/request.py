"""The requests of a check: the first, and those that redirects ask for."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urljoin, urlsplit, urlunsplit

import attrs

from monitoring_core.result import Reason
from monitoring_core.targets import PLAIN_URL, without_credentials
from producer_svc import __version__
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.urls import normalise, site

if TYPE_CHECKING:
    from monitoring_core.targets import Target

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TO_GET = frozenset({301, 302, 303})
_DEFAULT_HEADERS = (
    ("User-Agent", f"website-availability-monitor/{__version__}"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Connection", "close"),
)


@attrs.frozen
class Request:
    """One request of a check. The URL is normalised and free of credentials: they are in the headers."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)


# Stands for the request of a check that has not made one yet.
NO_REQUEST = Request("", "", ())


def first_request(target: Target) -> Request:
    """The first request of each check of a target.

    Raises:
        EndingError: prober_error, the target's URL cannot be requested.
    """
    try:
        return _request(target.method, target.url, target.headers, target.body)
    except ValueError:
        detail = f"{without_credentials(target.url)} cannot be requested"
        raise EndingError(Reason.PROBER_ERROR, detail) from None


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that a redirect asks for, an answer with one of the statuses `REDIRECTS`.

    A target's headers may hold credentials, so they go to its own site alone.

    Raises:
        EndingError: redirect_error, the redirect does not lead to an http or https URL.
    """
    try:
        # Servers send UTF-8 here, which the standard does not allow.
        url = urljoin(request.url, location.encode("latin-1").decode("utf-8", "replace"))
        if urlsplit(url).scheme not in ("http", "https"):
            raise EndingError(Reason.REDIRECT_ERROR, "redirected to a URL that is not http or https")
        same_site = site(url) == site(request.url)
        method = "GET" if status in _TO_GET and request.method == "POST" else request.method
        following = _request(method, url, (), request.body if method == request.method else None)
    except ValueError:
        raise EndingError(Reason.REDIRECT_ERROR, "redirected to what is not a URL") from None
    return attrs.evolve(following, headers=request.headers) if same_site else following


def _request(method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes | None) -> Request:
    """A request in normal form.

    Raises:
        ValueError: the URL cannot be requested.
    """
    authorization = None
    if not PLAIN_URL.fullmatch(url):
        parts = urlsplit(url)
        if "@" in parts.netloc:
            credentials, _, place = parts.netloc.rpartition("@")
            authorization = _basic(credentials)
            url = urlunsplit(parts._replace(netloc=place))
        url = normalise(url)
    return Request(method, url, _headers(headers, authorization), body)


def _basic(credentials: str) -> str:
    """The header value for user name and password in a URL (RFC 7617)."""
    user, _, password = credentials.partition(":")
    encoded = base64.b64encode(b":".join(unquote_to_bytes(part) for part in (user, password)))
    return f"Basic {encoded.decode()}"


@lru_cache(maxsize=1_000)
def _headers(own: tuple[tuple[str, str], ...], authorization: str | None) -> tuple[tuple[str, str], ...]:
    """The headers of a request: the target's, the URL's credentials, and the defaults that neither of them names."""
    named = {name.lower() for name, _ in own}
    if authorization and "authorization" not in named:
        own = (*own, ("Authorization", authorization))
    return (*((name, value) for name, value in _DEFAULT_HEADERS if name.lower() not in named), *own)


@lru_cache(maxsize=1_000)
def header_lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Headers as lines of a request's head."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
