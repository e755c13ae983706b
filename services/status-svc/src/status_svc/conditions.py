"""What a client has already and what it can read, as it says itself (RFC 9110, sections 12 and 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from status_svc.problems import ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request


def has_already(request: Request, tag: str) -> bool:
    """Whether the client has what bears this tag; one that somebody in between has weakened counts, too."""
    stated = request.headers.get("If-None-Match")
    if stated is None:
        return False
    return stated.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in stated.split(",")}


def check_match(stated: str, tag: str, otherwise: str) -> None:
    """Whether If-Match names this tag. A weak one says nothing here (RFC 9110, section 13.1.1).

    Raises:
        ProblemError: it does not; with what is said then.
    """
    tags = {one.strip() for one in stated.split(",")}
    if tags == {"*"} or tag in tags:
        return
    if f"W/{tag}" in tags:
        otherwise = "If-Match: a proxy that compresses has weakened this tag; send it without W/."
    raise ProblemError(412, otherwise)


def reads_gzip(request: Request) -> bool:
    """Whether the client takes an answer that is compressed; one of quality 0 is one that it refuses."""
    stated = {}
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";q=")
        stated[name] = weight.strip("0.") != "" or weight == ""
    return stated.get("gzip", stated.get("*", False))
