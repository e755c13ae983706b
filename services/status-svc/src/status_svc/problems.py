"""Errors as a program reads them (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TITLES = {
    400: "Bad request",
    401: "A token is needed",
    403: "The token does not allow this",
    404: "There is no such thing",
    405: "This method is not possible here",
    408: "The content did not come in time",
    409: "It conflicts with what there is",
    412: "It has changed since",
    413: "The request is too large",
    415: "The content must be JSON",
    422: "The content is not valid",
    428: "If-Match is required",
    429: "Too many requests",
    431: "The request begins too long",
    500: "Internal error",
    503: "Not available for now",
}


class ProblemError(Exception):
    """Ends a request with an error.

    Attributes:
        status: the status code of HTTP.
        detail: what is wrong and what to do, in a sentence; never a secret.
        headers: further headers of the answer.
        errors: each thing that is wrong with the content, when there are several.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, errors: Sequence[str] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers
        self.errors = errors


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, errors: Sequence[str] = ()) -> Response:
    """The answer that tells of an error."""
    content: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
    }
    if errors:
        content["errors"] = errors
    own = {"Cache-Control": "no-store"} | dict(headers or {})
    return Response(msgspec.json.encode(content), status, own, "application/problem+json")
