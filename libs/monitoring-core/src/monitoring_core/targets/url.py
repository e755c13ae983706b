"""URLs of targets: which ones can be requested, and how one is shown without its credentials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

# A name whose last part is a number is an IPv4 address in another spelling (WHATWG URL standard, "ends in a number").
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_NO_NUMBER = r"(?!(?:[a-z0-9-]*\.)*(?:\d+|0x[0-9a-f]*)\.?[:/])"
# A fast path: matches nearly every URL in practice, and only valid URLs in normal form. Group 1 is the host.
PLAIN_URL = re.compile(
    rf"(?!.*/\.)https?://({_OCTET}(?:\.{_OCTET}){{3}}|{_NO_NUMBER}[a-z0-9][a-z0-9.-]*)"
    r"(?::(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}))?"
    r"/[A-Za-z0-9._~/=&;,+:!$'()*-]*(?:\?[A-Za-z0-9._~/?=&;,+:!$'()*-]+)?",
    re.ASCII,
)


def without_credentials(url: str) -> str:
    """The URL without user name and password, fit for logs and rows."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def url_problems(url: str) -> Iterator[str]:
    """What is wrong with a URL, at most one sentence, without its credentials."""
    if PLAIN_URL.fullmatch(url):
        return
    if not url.isprintable() or " " in url:  # no other space is printable
        yield "holds a space or a control character"
        return
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        # The text of the error may quote a part of the password.
        yield "is not a URL" if "@" in url else f"is not a URL: {error}"
        return
    if parts.scheme not in ("http", "https"):
        yield f"must begin with http:// or https://, got {without_credentials(url)[:100]!r}"
    elif not host:
        yield "has no host"
    elif port == 0:
        yield "has port 0"
