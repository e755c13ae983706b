"""The kinds of checks and their engines. A new kind needs a module that builds its engine, and a line in `KINDS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from producer_svc.checks.http.engines import build_http_engine
from producer_svc.checks.routing import RoutingEngine

if TYPE_CHECKING:
    from monitoring_core.config import MonitorConfig
    from producer_svc.ports import Engine

Builder = Callable[["MonitorConfig"], "Engine"]

# By kind: the scheme of a target's URL.
KINDS: dict[str, Builder] = {
    "http": build_http_engine,
    "https": build_http_engine,
}


def build_engine(config: MonitorConfig) -> Engine:
    """The engine for checks of all kinds, at most `monitor.max_concurrent_checks` at once.

    Raises:
        ConfigError: an engine that the configuration names is not installed.
    """
    engines = {builder: builder(config) for builder in dict.fromkeys(KINDS.values())}
    if len(engines) == 1:
        return next(iter(engines.values()))
    return RoutingEngine({kind: engines[builder] for kind, builder in KINDS.items()}, config.max_concurrent_checks)
