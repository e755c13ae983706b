"""The API for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from monitoring_core.tokens import Scope
from status_svc.api.answers import answer
from status_svc.api.declaring import Declaring
from status_svc.api.openapi import document
from status_svc.api.reads import Reads
from status_svc.api.recorded import BEGIN
from status_svc.api.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Send
    from starlette.types import Scope as ASGIScope

    from status_svc.access import Endpoint
    from status_svc.context import Context

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def routes(context: Context) -> list[BaseRoute]:
    """The routes of the API."""
    reads = Reads(context.database)
    description = document(writes=context.writer is not None)

    async def openapi(request: Request) -> Response:
        return answer(request, description)

    guarded: dict[str, dict[str, Endpoint]] = {}
    for path, endpoint in {
        "/targets": reads.targets,
        "/targets/{target_id}": reads.target,
        "/targets/{target_id}/results": reads.results,
        "/status": reads.status,
        "/incidents": reads.incidents,
        "/notes": reads.notes,
        "/alerts": reads.alerts,
        "/maintenance": reads.maintenance,
        "/reports/availability": reads.availability,
    }.items():
        guarded[path] = {"GET": context.access.guard(Scope.READ, endpoint)}
    if context.writer is not None:
        writes, declaring = Writes(context.writer), Declaring(context.writer)
        for (method, path), endpoint in {
            ("POST", "/targets"): writes.add_target,
            ("POST", "/targets/plan"): declaring.plan,
            ("POST", "/targets/apply"): declaring.apply,
            ("PATCH", "/targets/{target_id}"): writes.change_target,
            ("DELETE", "/targets/{target_id}"): writes.delete_target,
            ("POST", "/maintenance"): writes.add_window,
            ("POST", "/maintenance/{window_id}/end"): writes.end_window,
            ("PUT", "/alerts/{alert_id}/acknowledgement"): writes.acknowledge,
            ("POST", "/notes"): writes.add_note,
            ("DELETE", "/notes/{note_id}"): writes.withdraw_note,
        }.items():
            guarded.setdefault(path, {})[method] = context.access.guard(Scope.WRITE, endpoint)
    return [
        Route(f"{BEGIN}/openapi.json", _Resource({"GET": openapi})),
        # A path without a parameter comes first: /targets/plan is no id.
        *(Route(BEGIN + path, _Resource(guarded[path])) for path in sorted(guarded, key=lambda path: "{" in path)),
        # No page is below the API.
        Route(f"{BEGIN}/{{path:path}}", _nothing, methods=_METHODS),
    ]


async def _nothing(_request: Request) -> Response:
    raise HTTPException(404)


class _Resource:
    """What is at a path, by method: one route, so that a wrong method is told which there are."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = dict(endpoints)
        if "GET" in endpoints:
            self._endpoints["HEAD"] = endpoints["GET"]

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive, send)
        endpoint = self._endpoints.get(request.method)
        if endpoint is None:
            raise HTTPException(405, headers={"Allow": ", ".join(self._endpoints)})
        response = await endpoint(request)
        await response(scope, receive, send)
