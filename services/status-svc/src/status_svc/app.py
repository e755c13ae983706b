"""The application: every route, and what holds for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from monitoring_core.errors import OutageError
from status_svc import api, metrics_websites, pages
from status_svc.headers import Headers
from status_svc.ports import RefusedError
from status_svc.problems import ProblemError, problem

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from status_svc.context import Context

log = structlog.get_logger()


def create_app(context: Context) -> Headers:
    """The application on what a context gives."""
    app = Starlette(
        routes=[*metrics_websites.routes(context), *api.routes(context), *pages.routes(context)],
        exception_handlers={
            OutageError: _outage,
            RefusedError: _refused,
            ProblemError: _problem,
            HTTPException: _http,
            Exception: _fault,
        },
    )
    # Around all of it: Starlette answers a fault outside of its own middleware.
    return Headers(app, context.metrics)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem(error.status, error.detail, error.headers, error.errors)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, error.headers)


async def _outage(_request: Request, error: Exception) -> Response:
    """Say that it is for now; why is in the log, because it names servers and accounts."""
    log.warning("a request was not answered", error=str(error))
    return problem(503, "The database does not answer.", {"Retry-After": "5"})


async def _refused(_request: Request, _error: Exception) -> Response:
    return problem(400, "The database refuses a value of the request.")


async def _fault(_request: Request, _error: Exception) -> Response:
    """Say nothing of what went wrong: it may hold values of others."""
    return problem(500, "Something went wrong; the log of the service has more.")
