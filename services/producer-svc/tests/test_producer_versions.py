"""In which version of HTTP websites are asked, and asked again."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import pytest
import trustme

from monitoring_core.config import EngineName, HttpVersion
from monitoring_core.result import Reason, Status
from monitoring_testkit.producer.engines import concrete_engines, needs_native
from monitoring_testkit.producer.probing import Prober, check, page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    # What a website does with a request over HTTP/2: its connection, and the number of the stream.
    Over2 = Callable[[h2.connection.H2Connection, int], object]

pytestmark = pytest.mark.integration_test

HTTP2_FIRST = {"http_versions": (HttpVersion.TWO, HttpVersion.ONE)}
# A fatal alert of TLS: no_application_protocol (RFC 7301, section 3.2).
NO_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"


def resets(code: h2.errors.ErrorCodes) -> Over2:
    return lambda connection, stream: connection.reset_stream(stream, code)


def goes_away(connection: h2.connection.H2Connection, stream: int) -> None:
    connection.close_connection(h2.errors.ErrorCodes.HTTP_1_1_REQUIRED, last_stream_id=0)


def begins_and_resets(connection: h2.connection.H2Connection, stream: int) -> None:
    connection.send_headers(stream, [(":status", "200")])
    connection.send_data(stream, b"hel")
    connection.reset_stream(stream, h2.errors.ErrorCodes.HTTP_1_1_REQUIRED)


def redirects(url: str) -> Over2:
    fields = [(":status", "302"), ("location", url)]
    return lambda connection, stream: connection.send_headers(stream, fields, end_stream=True)


class Website:
    """Speaks the versions that it is given, and sends a handshake away that offers none of them.

    Attributes:
        asked: the versions of the requests, in their order.
    """

    def __init__(
        self, folder: Path, versions: Sequence[str], over_1: bytes = page(), over_2: Over2 | None = None
    ) -> None:
        self.asked: list[str] = []
        self._versions, self._over_1, self._over_2 = versions, over_1, over_2
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "site.pem")
        self._context.set_alpn_protocols(list(versions))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError, h2.exceptions.ProtocolError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        hello = connection.recv(65536, socket.MSG_PEEK)
        if not any(version.encode() in hello for version in self._versions):
            connection.sendall(NO_PROTOCOL)
            return
        with self._context.wrap_socket(connection, server_side=True) as secure:
            if secure.selected_alpn_protocol() == "h2":
                self._answer_over_2(secure)
            else:
                request = secure.recv(65536)
                end = b"\r\n\r\n" if request.startswith(b"GET") else b"a=b"
                while not request.endswith(end) and (more := secure.recv(65536)):
                    request += more
                self.asked.append("1.1")
                secure.sendall(self._over_1)

    def _answer_over_2(self, secure: ssl.SSLSocket) -> None:
        assert self._over_2 is not None
        server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        server.initiate_connection()
        secure.sendall(server.data_to_send())
        while received := secure.recv(65536):
            for event in server.receive_data(received):
                if isinstance(event, h2.events.StreamEnded):
                    self.asked.append("2")
                    self._over_2(server, event.stream_id)
            secure.sendall(server.data_to_send())


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Website]]:
    """Makes websites that are trusted."""
    root = trustme.CA()
    root.cert_pem.write_to_path(tmp_path / "trusted.pem")
    root.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "site.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    with contextlib.ExitStack() as stack:

        def make(*versions: str, over_1: bytes = page(), over_2: Over2 | None = None) -> Website:
            return stack.enter_context(contextlib.closing(Website(tmp_path, versions, over_1, over_2)))

        yield make


@pytest.mark.parametrize("engine", concrete_engines())
@pytest.mark.parametrize(
    "refuses", [resets(h2.errors.ErrorCodes.HTTP_1_1_REQUIRED), goes_away], ids=["the request", "the connection"]
)
def test_a_website_that_wants_http_1_1_is_asked_again(
    refuses: Over2, engine: EngineName, serve: Callable[..., Website]
) -> None:
    """As browsers and curl do (RFC 9113, section 7), with all that belongs to the request; both times count."""
    website = serve("h2", "http/1.1", over_2=refuses)
    result = check(Prober(engine, **HTTP2_FIRST), website.url, method="POST", body="a=b", regexp="hello")
    assert (result.status, result.http_version) == (Status.UP, "1.1"), result.error
    assert website.asked == (["1.1"] if engine is EngineName.REQUESTS else ["2", "1.1"])
    phases = [result.dns_s, result.connect_s, result.tls_s, result.first_byte_s, result.transfer_s]
    assert None not in phases
    assert sum(phase or 0.0 for phase in phases) <= (result.response_time_s or 0.0)


@needs_native
def test_a_website_that_wants_http_1_1_and_does_not_speak_it(serve: Callable[..., Website]) -> None:
    """It is asked in each version once."""
    website = serve("h2", over_2=resets(h2.errors.ErrorCodes.HTTP_1_1_REQUIRED))
    for settings in ({}, HTTP2_FIRST):
        result = check(Prober(EngineName.NATIVE, **settings), website.url)
        assert result.status is Status.DOWN
    assert website.asked == ["2", "2"]


@needs_native
@pytest.mark.parametrize(
    ("over_2", "reason"),
    [
        (begins_and_resets, Reason.BODY_READ_ERROR),
        (resets(h2.errors.ErrorCodes.INTERNAL_ERROR), Reason.CONNECTION_ERROR),
    ],
)
def test_an_answer_that_breaks_off_is_the_answer(over_2: Over2, reason: Reason, serve: Callable[..., Website]) -> None:
    """Nothing is asked twice because it failed."""
    website = serve("h2", "http/1.1", over_2=over_2)
    assert check(Prober(EngineName.NATIVE, **HTTP2_FIRST), website.url).reason is reason
    assert website.asked == ["2"]


@needs_native
@pytest.mark.parametrize("settings", [{}, HTTP2_FIRST])
def test_what_one_website_speaks_says_nothing_of_another(
    settings: dict[str, tuple[HttpVersion, ...]], serve: Callable[..., Website]
) -> None:
    """A redirect from one that speaks HTTP/2 alone to one that speaks HTTP/1.1 alone, and back."""
    last = serve("h2", over_2=lambda server, stream: server.send_headers(stream, [(":status", "204")], end_stream=True))
    between = serve("http/1.1", over_1=page(b"", "302 Found", f"Location: {last.url}\r\n"))
    first = serve("h2", over_2=redirects(between.url))
    result = check(Prober(EngineName.NATIVE, **settings), first.url)
    assert (result.status, result.redirects, result.http_version) == (Status.UP, 2, "2"), result.error
    assert [website.asked for website in (first, between, last)] == [["2"], ["1.1"], ["2"]]
