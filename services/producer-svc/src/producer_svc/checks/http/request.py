"""The requests of a check: the first, and those that redirects ask for."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from monitoring_core.result import Reason
from monitoring_core.targets import PLAIN_URL, without_credentials
from producer_svc import __version__
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.urls import HostError, location_text, requestable

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
# What may let somebody in: it goes to the target's own host alone, and never from https to http.
_OWN_HOSTS = re.compile(
    r"cookie|.*(auth|token|secret|passw|credential|api[-_]?key|access[-_]?key|session|signature|jwt).*", re.IGNORECASE
)
# What tells of the body goes with it (Fetch standard, HTTP-redirect fetch).
_OF_BODY = frozenset({"content-type", "content-encoding", "content-language", "content-location", "content-length"})


@attrs.frozen
class Request:
    """One request of a check. The URL is normalised and free of credentials: they are in the headers.

    Attributes:
        secret: names, in lower case, of headers that the target calls secret.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    secret: frozenset[str] = frozenset()


# Stands for the request of a check that has not made one yet.
NO_REQUEST = Request("", "", ())


def first_request(target: Target) -> Request:
    """The first request of each check of a target.

    Raises:
        EndingError: prober_error, the target's URL cannot be requested; dns_error, its host is no name.
    """
    url, authorization = target.url, None
    if not PLAIN_URL.fullmatch(url):
        try:
            url, authorization = requestable(url)
        except HostError as error:
            raise EndingError(Reason.DNS_ERROR, f"{str(error)[:100]}: is not a host name") from None
        except ValueError:
            detail = f"{without_credentials(target.url)} cannot be requested"
            raise EndingError(Reason.PROBER_ERROR, detail) from None
    settings = target.settings
    headers = _headers(settings.headers, authorization)
    return Request(settings.method, url, headers, settings.body, settings.secret_headers)


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that a redirect asks for, an answer with one of the statuses `REDIRECTS`.

    Args:
        location: the value of the field Location, with a character for each byte.

    Raises:
        EndingError: redirect_error, the redirect does not lead to an http or https URL.
    """
    try:
        url, authorization = requestable(location_text(location), request.url)
    except ValueError:
        raise EndingError(Reason.REDIRECT_ERROR, "redirected to what is not an http or https URL") from None
    method, body = request.method, request.body
    if status in _TO_GET and method == "POST":
        method, body = "GET", None
    at_home, keeps_body = _at_home(request.url, url), method == request.method
    headers = tuple(
        (name, value)
        for name, value in request.headers
        if (at_home or not (_OWN_HOSTS.fullmatch(name) or name.lower() in request.secret))
        and (keeps_body or name.lower() not in _OF_BODY)
    )
    return Request(method, url, _headers(headers, authorization), body, request.secret)


def _at_home(before: str, url: str) -> bool:
    """Whether a redirect stays with its host, and does not give up TLS."""
    one, other = urlsplit(before), urlsplit(url)
    return one.hostname == other.hostname and (one.scheme, other.scheme) != ("https", "http")


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
