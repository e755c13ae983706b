"""Sample websites on the loopback, each with its behaviour and the expected verdict."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import attrs
import trustme

from monitoring_core.result import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW_S = 0.4
MAX_BODY = 256 * 1024
_TRICKLE_S = 0.2


@attrs.frozen
class SampleWebsite:
    """A website, and the expected verdict.

    Attributes:
        fields: the fields of its target beside the URL.
        expected: the expected reason, None for up; a list with one entry for each check in order when it changes.
    """

    name: str
    url: str
    fields: dict[str, Any] = attrs.field(factory=dict)
    expected: Reason | list[Reason | None] | None = None


@contextlib.contextmanager
def sample_websites() -> Iterator[list[SampleWebsite]]:
    """Start the websites; they end with the block."""
    certificate = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    answers: list[Reason | None] = []
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(_served(answers, None))
        secure = stack.enter_context(_served(answers, context))
        refusing = stack.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))
        yield _samples(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}", refusing.getsockname()[1], answers)


def _samples(plain: str, secure: str, refused_port: int, answers: list[Reason | None]) -> list[SampleWebsite]:
    return [
        SampleWebsite("fine", f"{plain}/fine", {"regexp": "All is (well|fine)"}),
        SampleWebsite("slow", f"{plain}/slow"),
        SampleWebsite("redirect", f"{plain}/redirect", {"regexp": "All is well"}),
        SampleWebsite("expected 404", f"{plain}/missing?expected", {"expected_status": "404"}),
        SampleWebsite("untrusted, not verified", f"{secure}/fine", {"verify_tls": False}),
        SampleWebsite("not found", f"{plain}/missing", {}, Reason.STATUS_MISMATCH),
        SampleWebsite("server error", f"{plain}/error", {}, Reason.STATUS_MISMATCH),
        SampleWebsite("wrong body", f"{plain}/fine?wrong", {"regexp": "All is lost"}, Reason.BODY_MISMATCH),
        SampleWebsite("redirect loop", f"{plain}/loop", {}, Reason.REDIRECT_ERROR),
        SampleWebsite("refused", f"http://127.0.0.1:{refused_port}/", {}, Reason.CONNECTION_ERROR),
        SampleWebsite("unknown host", "http://does-not-exist.invalid/", {}, Reason.DNS_ERROR),
        SampleWebsite("bad certificate", f"{secure}/fine?verified", {}, Reason.TLS_ERROR),
        SampleWebsite("hangs", f"{plain}/hang", {}, Reason.TIMEOUT),
        SampleWebsite("trickles", f"{plain}/trickle", {}, Reason.TIMEOUT),
        SampleWebsite("gone halfway", f"{plain}/halfway", {}, Reason.BODY_READ_ERROR),
        SampleWebsite("too large", f"{plain}/large", {"regexp": "All is well"}, Reason.BODY_TOO_LARGE),
        SampleWebsite("comes and goes", f"{plain}/flapping", {}, answers),
    ]


@contextlib.contextmanager
def _served(answers: list[Reason | None], context: ssl.SSLContext | None) -> Iterator[int]:
    closing = threading.Event()

    class Handler(_Habits):
        pass

    Handler.answers, Handler.closing = answers, closing
    with _Server(("127.0.0.1", 0), Handler) as server:
        server.context = context
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_port
        finally:
            closing.set()
            server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    context: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing: the samples make clients disconnect or refuse the certificate."""


class _Habits(BaseHTTPRequestHandler):
    """One behaviour for each path."""

    answers: list[Reason | None]
    closing: threading.Event

    def do_GET(self) -> None:
        habit = self.path.strip("/").partition("?")[0]
        getattr(self, f"_{habit}", self._missing)()

    def _page(self, status: int, body: bytes = b"All is well", length: int | None = None, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def _fine(self) -> None:
        self._page(200)

    def _slow(self) -> None:
        self.closing.wait(SLOW_S)
        self._page(200)

    def _missing(self) -> None:
        self._page(404)

    def _error(self) -> None:
        self._page(500)

    def _redirect(self) -> None:
        self._page(302, b"", location="/fine")

    def _loop(self) -> None:
        self._page(302, b"", location="/loop")

    def _hang(self) -> None:
        self.closing.wait(30)

    def _trickle(self) -> None:
        self.send_response(200)
        self.end_headers()
        end = time.monotonic() + 30
        while time.monotonic() < end and not self.closing.wait(_TRICKLE_S):
            self.wfile.write(b".")

    def _halfway(self) -> None:
        self._page(200, b"All is", length=1000)

    def _large(self) -> None:
        self._page(200, b"x" * (MAX_BODY + 1))

    def _flapping(self) -> None:
        """Up twice, down twice, and so on."""
        down = len(self.answers) % 4 >= 2
        self.answers.append(Reason.STATUS_MISMATCH if down else None)
        self._page(503 if down else 200)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name in the base class)
        """Write nothing."""
