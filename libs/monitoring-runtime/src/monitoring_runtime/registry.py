"""The registry of a service's metrics, with what every service says of its process and its version."""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Info, ProcessCollector, disable_created_metrics


def service_registry(service: str, version: str) -> CollectorRegistry:
    """A registry that has `process_*` and `SERVICE_build_info` already.

    Counters and histograms of the process get no `_created` series from now on: they double the number of series, and
    Prometheus does not use them.

    Args:
        service: what the names of its metrics begin with, like "producer".
        version: the version of its package.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    build = Info(f"{service}_build", "The version that runs, and that of Python.", registry=registry)
    build.info({"version": version, "python": platform.python_version()})
    return registry
