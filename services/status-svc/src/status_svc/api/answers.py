"""Answers in JSON, with a tag by which a client learns that nothing has changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request


def answer(request: Request, content: Any) -> Response:
    """The content as JSON; 304 without it when the client has it already (RFC 9110, section 13.1.2)."""
    body = msgspec.json.encode(content)
    headers = {"ETag": etag(body), "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if _has(request.headers.get("If-None-Match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def etag(body: bytes) -> str:
    """The tag of a content."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def matches(stated: str, tag: str) -> bool:
    """Whether If-Match names this tag. A weak one says nothing here (RFC 9110, section 13.1.1)."""
    tags = {one.strip() for one in stated.split(",")}
    return tags == {"*"} or tag in tags


def _has(stated: str | None, tag: str) -> bool:
    """Whether a list of tags names this one; a weak one counts, too."""
    if stated is None:
        return False
    return stated.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in stated.split(",")}
