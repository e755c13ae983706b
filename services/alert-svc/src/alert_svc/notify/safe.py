"""Text of websites and users made fit for messages: it stays one line, and no program takes it for its own language."""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 300
_SPACE = re.compile(r"\s+")
# Controls and formats (among them those that turn the direction of writing), surrogates, private use, unassigned.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Mentions, tags, links and emphasis of HTML, Markdown and chats begin with these. Their wide forms mean nothing.
_WIDE = {ord(c): chr(ord(c) + 0xFEE0) for c in "@<>&*_`~|[]\\#"}
_IN_URL = re.compile(r"""[@<>*`~|()"'\\^{}\s]""")


def line(text: str, limit: int = MAX_CHARS) -> str:
    """Text as one line of characters that can be seen, no longer than `limit`."""
    shown = _SPACE.sub(" ", text[: 4 * limit]).strip()
    shown = "".join("\ufffd" if unicodedata.category(c) in _UNSHOWN else c for c in shown)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def word(text: str) -> str:
    """Text that is a part of a message: one line without markup, mentions or links."""
    return line(text).translate(_WIDE).replace("://", ":／／")  # noqa: RUF001 (wide on purpose)


def address(url: str) -> str:
    """A URL that is a part of a message: it means the same, and has no markup or mention in it."""
    return _IN_URL.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), line(url, 2_000))
