"""The application: every route, and what holds for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

from monitoring_core.errors import OutageError
from status_svc import api, metrics_websites, pages
from status_svc.headers import Headers

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from status_svc.context import Context

log = structlog.get_logger()


def create_app(context: Context) -> Starlette:
    """The application on what a context gives."""
    return Starlette(
        routes=[*metrics_websites.routes(context), *api.routes(context), *pages.routes(context)],
        middleware=[Middleware(Headers, metrics=context.metrics)],
        exception_handlers={OutageError: _outage},
    )


async def _outage(_request: Request, error: Exception) -> Response:
    """Say that it is for now; why is in the log, because it names servers and accounts."""
    log.warning("a request was not answered", error=str(error))
    return PlainTextResponse("the database does not answer\n", 503, {"Retry-After": "5"})
