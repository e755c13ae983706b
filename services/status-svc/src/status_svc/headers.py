"""What every answer says to browsers, and what is counted of it."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from status_svc.metrics import Metrics

log = structlog.get_logger()
# Scripts and styles are files of this service alone; nothing in a page is taken for code. Charts are SVG in the page.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_NO_ROUTE = "none"


class Headers:
    """Adds the headers to every answer, and counts and times it by its route.

    An answer may bring a header of these itself: then its own holds.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                route = _route(scope)
                self._metrics.requests.labels(route, str(message["status"])).inc()
                self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            # It has been answered, as far as it could be. Its text may hold values of others.
            log.error("internal error", route=_route(scope), error=type(error).__name__, at=_place(error))


def _place(error: Exception) -> str:
    """Where something went wrong: file and line."""
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    return f"{innermost.filename}:{innermost.lineno}"


def _route(scope: Scope) -> str:
    """The pattern of the route, never the path, of which there are as many as a client likes."""
    return str(getattr(scope.get("route"), "path", _NO_ROUTE))
