"""What a client has already and what it can read, as it says itself (RFC 9110, sections 12 and 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request


def has_already(request: Request, tag: str) -> bool:
    """Whether the client has what bears this tag; one that somebody in between has weakened counts, too."""
    stated = request.headers.get("If-None-Match")
    if stated is None:
        return False
    return stated.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in stated.split(",")}


def matches(stated: str, tag: str) -> bool:
    """Whether If-Match names this tag. A weak one says nothing here (RFC 9110, section 13.1.1)."""
    tags = {one.strip() for one in stated.split(",")}
    return tags == {"*"} or tag in tags


def reads_gzip(request: Request) -> bool:
    """Whether the client takes an answer that is compressed; one of quality 0 is one that it refuses."""
    stated = {}
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";q=")
        stated[name] = weight.strip("0.") != "" or weight == ""
    return stated.get("gzip", stated.get("*", False))
