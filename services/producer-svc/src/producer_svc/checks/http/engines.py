"""Which engine makes checks over HTTP: the one that the configuration names."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from monitoring_core.config import ConfigError, EngineName, Fault

if TYPE_CHECKING:
    from monitoring_core.config import MonitorConfig
    from producer_svc.ports import Engine


def chosen(engine: EngineName) -> EngineName:
    """The engine that a setting stands for: itself, or what `auto` is on this machine."""
    if engine is not EngineName.AUTO:
        return engine
    return EngineName.NATIVE if importlib.util.find_spec("probe_transport") else EngineName.REQUESTS


def build_http_engine(config: MonitorConfig) -> Engine:
    """The engine of `monitor.engine`. The libraries of the other one are not imported before they are needed.

    Raises:
        ConfigError: the engine is not installed.
    """
    if chosen(config.engine) is EngineName.REQUESTS:
        return _on_requests(config)
    try:
        from producer_svc.checks.http.native_engine import NativeEngine
    except ImportError as error:
        message = f"native needs pip install 'producer-svc[native]' ({error})"
        raise ConfigError([Fault("this installation", "monitor.engine", message)]) from None
    return NativeEngine(config, lambda: _on_requests(config))


def _on_requests(config: MonitorConfig) -> Engine:
    from producer_svc.checks.http.requests_engine import RequestsEngine

    return RequestsEngine(config)
