"""The HTTP endpoint of a service: /metrics, /healthz and /readyz."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from types import TracebackType

    from prometheus_client import CollectorRegistry

    from monitoring_core.config import MetricsConfig
    from monitoring_runtime.health import Health

_CLIENT_TIMEOUT_S = 10


class Endpoint:
    """Serves a registry and a health in a thread of its own, from `with` to its end."""

    def __init__(self, config: MetricsConfig, registry: CollectorRegistry, health: Health) -> None:
        self._config = config
        self._registry = registry
        self._health = health
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int | None:
        """The port that is served, or None when the endpoint is not enabled."""
        return self._server.server_port if self._server else None

    def __enter__(self) -> Self:
        """Begin to serve.

        Raises:
            StopError: the address cannot be listened on.
        """
        if not self._config.enabled:
            return self
        host, port = self._config.host, self._config.port
        try:
            self._server = _server(host, port, self._registry, self._health)
        except OSError as error:
            raise StopError(
                f"metrics: cannot listen on {host}:{port}: {error.strerror or error} "
                "(set metrics.port, 0 for any free port)"
            ) from None
        threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()


def _server(host: str, port: int, registry: CollectorRegistry, health: Health) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_TIMEOUT_S
        server_version = "monitoring"
        sys_version = ""

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                case "/healthz":
                    self._say(*health.liveness())
                case "/readyz":
                    self._say(*health.readiness())
                case _:
                    self._answer(404, "text/plain; charset=utf-8", b"there are /metrics, /healthz and /readyz\n")

        def _say(self, good: bool, line: str) -> None:
            self._answer(200 if good else 503, "text/plain; charset=utf-8", f"{line}\n".encode())

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name in the base class)
            """Say nothing: a probe every few seconds is no news."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: a client that went away is no news."""

    return Server((host, port), Handler)
