"""URLs as they are requested: parsed by the WHATWG URL standard, as in browsers, and spelled as they are given."""

from __future__ import annotations

import base64
from urllib.parse import unquote_to_bytes, urlsplit

import ada_url

# The longest name in DNS, in characters, and the longest of its labels (RFC 1035, section 2.3.4).
_MAX_NAME, _MAX_LABEL = 253, 63


class HostError(ValueError):
    """The host is no name that anybody can look up."""


def requestable(url: str, base: str | None = None) -> tuple[str, str | None]:
    """The URL to request, and the value of the field Authorization that its credentials ask for.

    Only what cannot be sent is encoded; a percent sign, the case of hexadecimal digits and `~` stay as they are. The
    URL that is returned has neither credentials nor a fragment.

    Args:
        base: the URL that the first one is relative to.

    Raises:
        HostError: its host is no name.
        ValueError: it is not an http or https URL.
    """
    try:
        parsed = ada_url.URL(url, base) if base else ada_url.URL(url)
    except ValueError:
        _blame_host(url)
        raise ValueError("not a URL") from None
    if parsed.protocol not in ("http:", "https:") or parsed.port == "0" or parsed.hostname.startswith(("*", ".")):
        raise ValueError("not a URL that can be requested")
    name = parsed.hostname.removesuffix(".")
    if len(name) > _MAX_NAME or not all(0 < len(label) <= _MAX_LABEL for label in name.split(".")):
        raise HostError(parsed.hostname)
    authorization = None
    if parsed.username or parsed.password:
        pair = b":".join(unquote_to_bytes(part) for part in (parsed.username, parsed.password))
        authorization = f"Basic {base64.b64encode(pair).decode()}"  # RFC 7617
        parsed.username = parsed.password = ""
    return parsed.href.partition("#")[0], authorization


def authority_of(url: str) -> str:
    """Host and port of a URL to request, as they are told to the website: without the scheme's own port."""
    parts = urlsplit(url)
    return parts.netloc.removesuffix({"http": ":80", "https": ":443"}[parts.scheme])


def path_of(url: str) -> str:
    """Path and query of a URL to request."""
    _, _, rest = url.partition("://")
    at = min((place for place in (rest.find("/"), rest.find("?")) if place >= 0), default=len(rest))
    path = rest[at:]
    return path if path.startswith("/") else f"/{path}"


def location_text(value: str) -> str:
    """The text of a field Location, whose value has a character for each byte.

    Servers send UTF-8 here, which the standard does not allow; other bytes can only be sent back as they came.
    """
    raw = value.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in raw)


def _blame_host(url: str) -> None:
    """Tell a host that cannot be encoded from a URL that is none.

    Raises:
        HostError: it is the host.
    """
    try:
        host = urlsplit(url).hostname or ""
        plain = ada_url.URL(url.replace(host, "host", 1)) if host and not host.isascii() else None
    except ValueError:
        return
    if plain is not None:
        raise HostError(host)
