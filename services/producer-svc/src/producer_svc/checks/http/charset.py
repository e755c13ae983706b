"""Text of any charset as UTF-8, in which regular expressions are searched."""

from __future__ import annotations

_UTF_8 = frozenset({"", "utf-8", "utf8", "ascii", "us-ascii"})


def to_utf8(body: bytes, content_type: str | None) -> bytes:
    """A body in UTF-8; unchanged when its Content-Type names no charset or an unknown one."""
    _, charset, rest = (content_type or "").lower().partition("charset=")
    encoding = rest.partition(";")[0].strip(" \t'\"") if charset else ""
    if encoding in _UTF_8:
        return body
    try:
        return body.decode(encoding, "replace").encode()
    except (LookupError, UnicodeError):
        return body
