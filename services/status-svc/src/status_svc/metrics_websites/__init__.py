"""Metrics of the websites, for Prometheus, in the names of blackbox_exporter."""

from __future__ import annotations

import asyncio
import gzip
import math
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from monitoring_core.tokens import Scope
from status_svc.cached import Cached
from status_svc.conditions import reads_gzip
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

    async def make() -> tuple[bytes, Cached[bytes]]:
        places, values, omitted = await reader.read()
        labels = dict(zip(settings.metric_labels, values, strict=True))
        plain = await asyncio.to_thread(page, places, labels, omitted)
        # Compressed when somebody asks for it, and once. Level 1 takes a quarter of a second for 60 MB, and leaves 6.
        compress = partial(asyncio.to_thread, gzip.compress, plain, 1, mtime=0)
        return plain, Cached(compress, math.inf)

    cached = Cached(make, settings.cache.total_seconds())

    async def metrics(request: Request) -> Response:
        plain, compressed = await cached.get()
        headers = {"Content-Type": _CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if reads_gzip(request):
            return Response(await compressed.get(), headers=headers | {"Content-Encoding": "gzip"})
        return Response(plain, headers=headers)

    return [Route("/metrics/websites", context.access.guard(Scope.READ, metrics), methods=["GET"])]
