"""Metrics of the websites, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from status_svc.context import Context


def routes(_context: Context) -> list[BaseRoute]:
    """The routes of the metrics."""
    return []
