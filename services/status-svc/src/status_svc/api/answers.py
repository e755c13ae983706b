"""Answers in JSON, with a tag by which a client learns that nothing has changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from status_svc.conditions import has_already

if TYPE_CHECKING:
    from starlette.requests import Request


def answer(request: Request, content: Any) -> Response:
    """The content as JSON; 304 without it when the client has it already (RFC 9110, section 13.1.2)."""
    body = msgspec.json.encode(content)
    headers = {"ETag": etag(body), "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if has_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def etag(body: bytes) -> str:
    """The tag of a content."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
