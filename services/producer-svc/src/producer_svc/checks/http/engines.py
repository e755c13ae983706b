"""Which engine makes checks over HTTP: the one that the configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_core.config import ConfigError, EngineName, Fault

if TYPE_CHECKING:
    from monitoring_core.config import MonitorConfig
    from producer_svc.ports import Engine


def build_http_engine(config: MonitorConfig) -> Engine:
    """The engine of `monitor.engine`. The libraries of the other one are not imported.

    Raises:
        ConfigError: the engine is not installed.
    """
    if config.engine is EngineName.REQUESTS:
        from producer_svc.checks.http.requests_engine import RequestsEngine

        return RequestsEngine(config)
    if config.engine is EngineName.NATIVE:
        from producer_svc.checks.http.native_engine import NativeEngine

        return NativeEngine(config)
    try:
        from producer_svc.checks.http.curl_engine import CurlEngine
    except ImportError as error:
        message = f"curl needs pip install 'producer-svc[curl]' ({error})"
        raise ConfigError([Fault("this installation", "monitor.engine", message)]) from None
    return CurlEngine(config)
