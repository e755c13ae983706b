"""The HTTP endpoint of a service: /metrics, /healthz and /readyz."""

from __future__ import annotations

import selectors
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
    """Serves a registry and a health in a thread of its own while the `with` block runs."""

    def __init__(self, config: MetricsConfig, registry: CollectorRegistry, health: Health) -> None:
        self._config = config
        self._registry = registry
        self._health = health
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._closes_to_stop: socket.socket | None = None

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
            self._server = _Server(host, port, self._registry, self._health)
        except OSError as error:
            raise StopError(
                f"metrics: cannot listen on {host}:{port}: {error.strerror or error} "
                "(set metrics.port, 0 for any free port)"
            ) from None
        self._closes_to_stop, stop = socket.socketpair()
        self._thread = threading.Thread(target=_serve, args=(self._server, stop), name="endpoint", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server and self._thread and self._closes_to_stop:
            self._closes_to_stop.close()
            self._thread.join()
            self._server.server_close()


def _serve(server: _Server, stop: socket.socket) -> None:
    """Answer requests until the socket paired with `stop` is closed.

    `serve_forever` would delay a service's stop by up to half a second: it polls for its shutdown.
    """
    with stop, selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        selector.register(stop, selectors.EVENT_READ)
        while all(key.fileobj is not stop for key, _ in selector.select()):
            server.handle_request()


class _Server(ThreadingHTTPServer):
    """An HTTP server that holds the registry and the health that its answers are made from."""

    daemon_threads = True
    timeout = 0  # handle_request is called when there is a request, and must not wait for another one

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.registry = registry
        self.health = health
        super().__init__((host, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Write nothing: a client that disconnects is no fault of the service."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _CLIENT_TIMEOUT_S
    server_version = "monitoring"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(self.server.registry))
            case "/healthz":
                self._say(*self.server.health.liveness())
            case "/readyz":
                self._say(*self.server.health.readiness())
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
        """Write nothing: probes every few seconds would fill the log."""
