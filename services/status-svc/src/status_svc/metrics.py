"""The metrics of status-svc."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from monitoring_runtime.registry import service_registry
from status_svc import __version__


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = service_registry("status", __version__)
        self.requests = Counter(
            "status_requests", "Requests, by route and status code.", ["route", "code"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "status_request_seconds", "Time until an answer began, by route.", ["route"], registry=self.registry
        )
        self.statements = Counter("status_statements", "Statements sent to PostgreSQL.", registry=self.registry)
        self.outages = Counter("status_outages", "Statements that PostgreSQL did not answer.", registry=self.registry)
