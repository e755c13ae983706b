"""URLs in the normal form in which both engines request them: that of the library requests."""

from __future__ import annotations

import string
from urllib.parse import quote, urlsplit, urlunsplit

from urllib3.util import parse_url

_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")  # RFC 3986, section 2.3
_KEPT = "!#$&'()*+,/:;=?@[]~"


def normalise(url: str) -> str:
    """An http or https URL in normal form: host in lower case and IDNA, characters escaped where they must be.

    Credentials and the fragment are left out: neither is sent as part of the URL.

    Raises:
        ValueError: the URL cannot be requested.
    """
    scheme, _, host, port, path, query, fragment = parse_url(url.lstrip())  # its errors are ValueErrors
    if not scheme or not host or host.startswith(("*", ".")):
        raise ValueError("not a URL")
    netloc = f"{host}:{port}" if port else host
    normal = _requoted(urlunsplit((scheme, netloc, path or "/", query or "", fragment or "")))
    if urlsplit(normal).port == 0:
        raise ValueError("not a URL")
    return normal.partition("#")[0]


def site(url: str) -> tuple[str | None, str | None, int | None]:
    """Scheme, host and port, which are equal for two URLs of the same site."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _requoted(url: str) -> str:
    """Escape the characters that must be escaped, and unescape those that need not be."""
    head, *escaped = url.split("%")
    try:
        plain = "".join([head, *map(_unescaped, escaped)])
    except ValueError:  # a percent sign that begins no escape
        return quote(url, safe=_KEPT)
    return quote(plain, safe=f"{_KEPT}%")


def _unescaped(text: str) -> str:
    """Text that follows a percent sign, with its first character unescaped when that is unreserved."""
    code = text[:2]
    if len(code) == 2 and code.isalnum() and (character := chr(int(code, 16))) in _UNRESERVED:
        return character + text[2:]
    return f"%{text}"
