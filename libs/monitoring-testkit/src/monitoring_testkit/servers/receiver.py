"""An HTTP server that keeps every request, and answers as a test tells it."""

from __future__ import annotations

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@attrs.frozen
class Received:
    """A request. Names of headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """What came, and what is answered.

    Attributes:
        requests: in the order of their arrival, also those that were answered with a failure.
        status: of the next answers.
        location: where a redirect leads.
        retry_after: when to come again, as the header has it.
        delay_s: how long an answer is kept back after the request was noted.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.status = 200
        self.location = self.retry_after = ""
        self.delay_s = 0.0
        self._server = _Server(self)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """The URL of its root."""
        return f"http://127.0.0.1:{self.port}/"

    def serve(self) -> None:
        """Answer until `close`."""
        self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        """Stop, and free the port."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that ends with the block."""
    made = Receiver()
    thread = threading.Thread(target=made.serve, name="receiver", daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Write nothing: a client that is killed is what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver = self.server.receiver
        receiver.requests.append(Received(self.command, self.path, headers, body))
        if receiver.delay_s:
            time.sleep(receiver.delay_s)
        self.send_response(receiver.status)
        if receiver.location:
            self.send_header("Location", receiver.location)
        if receiver.retry_after:
            self.send_header("Retry-After", receiver.retry_after)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    do_GET = do_POST = do_PUT = do_HEAD = _any  # noqa: N815 (the names of the base class)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name in the base class)
        """Write nothing."""
