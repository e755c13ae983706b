"""The API for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from monitoring_core.tokens import Scope
from status_svc.api.answers import answer
from status_svc.api.openapi import document
from status_svc.api.reads import Reads

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from status_svc.context import Context

BEGIN = "/api/v1"


def routes(context: Context) -> list[BaseRoute]:
    """The routes of the API."""
    reads = Reads(context.database)
    description = document()

    async def openapi(request: Request) -> Response:
        return answer(request, description)

    paths = {
        "/targets": reads.targets,
        "/targets/{target_id}": reads.target,
        "/targets/{target_id}/results": reads.results,
        "/status": reads.status,
        "/incidents": reads.incidents,
        "/alerts": reads.alerts,
        "/maintenance": reads.maintenance,
        "/reports/availability": reads.availability,
    }
    return [
        Route(f"{BEGIN}/openapi.json", openapi, methods=["GET"]),
        *(
            Route(BEGIN + path, context.access.guard(Scope.READ, endpoint), methods=["GET"])
            for path, endpoint in paths.items()
        ),
    ]
