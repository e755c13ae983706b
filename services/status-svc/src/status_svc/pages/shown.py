"""Text, moments and figures in the form in which pages show them. Text of websites and users stays text."""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from urllib.parse import urlsplit

from monitoring_core.clock import for_people

MAX_NAME = 120
MAX_TEXT = 500
MAX_URL = 2_048
_SPACE = re.compile(r"\s+")
# Controls and formats (among them those that turn the direction of writing), surrogates, private use, unassigned.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Some scripts and emoji need them between letters, and they turn nothing.
_JOINERS = frozenset("\u200c\u200d")


def text(value: object, limit: int = MAX_TEXT) -> str:
    """A value as one line of characters that can be seen, no longer than `limit`."""
    line = _SPACE.sub(" ", str(value)[: 4 * limit]).strip()
    line = "".join("\ufffd" if unicodedata.category(c) in _UNSHOWN and c not in _JOINERS else c for c in line)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def link(url: str | None) -> str | None:
    """The URL, if a page may link to it: http or https, with a host and without anything that cannot be seen."""
    if not url or len(url) > MAX_URL or url != text(url, MAX_URL) or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc else None


def percent(share: float | None) -> str:
    """A share of 0 to 1, never rounded up: what is not all is not shown as all."""
    return "no data" if share is None else f"{math.floor(share * 10_000 + 1e-7) / 100:.2f} %"


def moment(at: dt.datetime | None) -> str:
    """A moment to the second, UTC."""
    return "" if at is None else for_people(at)


def iso(at: dt.datetime) -> str:
    """A moment for programs (RFC 3339)."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def day(value: dt.date) -> str:
    """A day, like 5 November 2026."""
    return f"{value.day} {value:%B %Y}"


def seconds(value: float | None) -> str:
    """A response time."""
    if value is None:
        return ""
    return f"{value * 1_000:.0f} ms" if value < 10 else f"{value:.1f} s"


def lasting(value: dt.timedelta) -> str:
    """A duration, to the minute."""
    minutes = max(0, math.floor(value.total_seconds() / 60 + 0.5))
    if minutes < 1:
        return "less than a minute"
    days, hours, rest = minutes // 1_440, minutes // 60 % 24, minutes % 60
    parts = ((days, "day"), (hours, "hour"), (rest, "minute"))
    return " ".join(f"{number} {name}{'s' if number > 1 else ''}" for number, name in parts if number)
