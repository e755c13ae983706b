"""Metrics of the websites, for Prometheus, in the names of blackbox_exporter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from monitoring_core.tokens import Scope
from status_svc.cached import Cached
from status_svc.metrics_websites.places import Reader
from status_svc.metrics_websites.text import page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from status_svc.context import Context

# Prometheus documentation, "Exposition formats".
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def routes(context: Context) -> list[BaseRoute]:
    """The routes of the metrics."""
    settings = context.settings
    reader = Reader(context.database, settings.metric_labels, settings.max_metric_places)

    async def make() -> bytes:
        places, values, omitted = await reader.read()
        labels = dict(zip(settings.metric_labels, values, strict=True))
        return await asyncio.to_thread(page, places, labels, omitted)

    cached = Cached(make, settings.cache.total_seconds())

    async def metrics(_request: Request) -> Response:
        return Response(await cached.get(), headers={"Content-Type": _CONTENT_TYPE})

    return [Route("/metrics/websites", context.access.guard(Scope.READ, metrics), methods=["GET"])]
