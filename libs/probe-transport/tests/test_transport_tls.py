"""Certificates, TLS versions, sessions and HTTP/2."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import tempfile
import threading
import time
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest
import trustme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe_transport import Answer, Transport

    Make = Callable[..., Transport]
    Fetch = Callable[..., Answer]
    Act = Callable[[ssl.SSLSocket], None]

pytestmark = pytest.mark.integration_test


def page(connection: ssl.SSLSocket) -> None:
    """A page over HTTP/1.1."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def http2_page(connection: ssl.SSLSocket) -> None:
    """A page over HTTP/2, which says what was asked for."""
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    server.initiate_connection()
    connection.sendall(server.data_to_send())
    headers: dict[str, str] = {}
    while (received := connection.recv(65536)) and not received.startswith(b"GET "):
        for event in server.receive_data(received):
            if isinstance(event, h2.events.RequestReceived):
                headers = {str(name): str(value) for name, value in event.headers or []}
            elif isinstance(event, h2.events.StreamEnded):
                server.send_headers(event.stream_id, [(":status", "200"), ("x-set", "a"), ("x-set", "b")])
                server.send_data(event.stream_id, repr(sorted(headers.items())).encode(), end_stream=True)
        connection.sendall(server.data_to_send())


def http2_ends(end: Callable[[h2.connection.H2Connection, int], object]) -> Act:
    """A website that does something else with a request over HTTP/2 than to answer it to the end."""

    def act(connection: ssl.SSLSocket) -> None:
        server = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, validate_outbound_headers=False)
        )
        server.initiate_connection()
        connection.sendall(server.data_to_send())
        while received := connection.recv(65536):
            asked = [event for event in server.receive_data(received) if isinstance(event, h2.events.StreamEnded)]
            for event in asked:
                end(server, event.stream_id)
            connection.sendall(server.data_to_send())
            if asked:
                break
        # Whoever closes before all is read that the client still says takes back what was sent.
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    return act


def half_a_page(server: h2.connection.H2Connection, stream: int) -> None:
    server.send_headers(stream, [(":status", "200")])
    server.send_data(stream, b"hello")


def a_page_and_reset(server: h2.connection.H2Connection, stream: int) -> None:
    half_a_page(server, stream)
    server.reset_stream(stream, h2.errors.ErrorCodes.NO_ERROR)


@contextlib.contextmanager
def tls_website(certificate: trustme.LeafCert, act: Act = page, **settings: object) -> Iterator[int]:
    """A website with this certificate. Yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        chain = [certificate.private_key_pem, *certificate.cert_chain_pems]
        file.write(b"".join(pem.bytes() for pem in chain))
        file.flush()
        context.load_cert_chain(file.name)
    for name, value in settings.items():
        if name == "alpn":
            context.set_alpn_protocols(value)  # type: ignore[arg-type]
        elif name == "ciphers":
            context.set_ciphers(str(value))
        else:
            setattr(context, name, value)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                    act(secure)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.fixture
def root() -> trustme.CA:
    """An authority."""
    return trustme.CA()


def trusting(transport: Make, root: trustme.CA) -> Transport:
    """A transport that trusts the authority."""
    return transport(authorities=root.cert_pem.bytes())


def der(pem: trustme.Blob) -> bytes:
    """A certificate in DER."""
    return ssl.PEM_cert_to_DER_cert(pem.bytes().decode())


def test_the_whole_chain_is_handed_up(root: trustme.CA, transport: Make, fetch: Fetch) -> None:
    """The website's own certificate first, and then the intermediate that it sends along."""
    between = root.create_child_ca()
    own = between.issue_cert("127.0.0.1")
    with tls_website(own) as port:
        answer = fetch(trusting(transport, root), f"https://127.0.0.1:{port}/")
    assert (answer.failure, answer.status, answer.tls_version, answer.http_version) == (None, 200, "1.3", "1.1")
    assert answer.certificates == [der(pem) for pem in own.cert_chain_pems]
    assert answer.tls_s is not None
    assert answer.tls_s > 0


@pytest.mark.parametrize("refused", ["unknown", "expired", "other name", "no intermediate"])
def test_a_refused_chain_is_handed_up_from_the_same_handshake(
    refused: str, root: trustme.CA, transport: Make, fetch: Fetch
) -> None:
    """What it says is the evidence; it takes one connection, and nothing is asked of such a website."""
    received: list[bytes] = []
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate, words = {
        "unknown": (trustme.CA().issue_cert("127.0.0.1"), "unable to get local issuer certificate"),
        "expired": (root.issue_cert("127.0.0.1", not_after=past), "certificate has expired"),
        "other name": (root.issue_cert("shop.test"), "IP address mismatch, certificate is not valid for"),
        "no intermediate": (without_chain(root), "unable to get local issuer certificate"),
    }[refused]
    with tls_website(certificate, lambda connection: received.append(connection.recv(1))) as port:
        answer = fetch(trusting(transport, root), f"https://127.0.0.1:{port}/")
        assert answer.failure == "tls"
        assert words in answer.detail
        assert answer.certificates[0] == der(certificate.cert_chain_pems[0])
        assert b"".join(received) == b""
        assert fetch(trusting(transport, root), f"https://127.0.0.1:{port}/", verify=False).tls_version == "1.3"


def without_chain(root: trustme.CA) -> trustme.LeafCert:
    """A certificate whose intermediate the website does not send."""
    own = root.create_child_ca().issue_cert("127.0.0.1")
    del own.cert_chain_pems[1:]
    return own


def test_a_verdict_on_a_chain_ends_with_its_first_certificate(root: trustme.CA, transport: Make, fetch: Fetch) -> None:
    """A chain that was verified lately is not trusted longer than it says, to the second."""
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=8)
    with tls_website(root.issue_cert("127.0.0.1", not_after=expires)) as port:
        one = trusting(transport, root)
        assert [fetch(one, f"https://127.0.0.1:{port}/").status for _ in range(3)] == [200] * 3
        time.sleep((expires - dt.datetime.now(dt.UTC)).total_seconds() + 1.1)
        answer = fetch(one, f"https://127.0.0.1:{port}/")
    assert (answer.failure, answer.detail) == ("tls", "certificate has expired")


def test_a_verdict_on_a_chain_holds_for_its_name_alone(root: trustme.CA, transport: Make, fetch: Fetch) -> None:
    """One server may have many names, and a certificate for one of them."""
    with tls_website(root.issue_cert("127.0.0.1")) as port:
        one = trusting(transport, root)
        assert fetch(one, f"https://127.0.0.1:{port}/").status == 200
        assert fetch(one, f"https://127.0.0.2:{port}/").failure is not None
        assert fetch(one, f"https://localhost:{port}/").failure == "tls"


def test_the_older_version_is_told(root: trustme.CA, transport: Make, fetch: Fetch) -> None:
    """TLS 1.2 is still spoken by many."""
    own = root.issue_cert("127.0.0.1")
    with tls_website(own, maximum_version=ssl.TLSVersion.TLSv1_2) as port:
        assert fetch(trusting(transport, root), f"https://127.0.0.1:{port}/").tls_version == "1.2"


def test_nobody_can_be_trusted_without_authorities(root: trustme.CA, transport: Make, fetch: Fetch) -> None:
    """A website whose certificate nobody could look at is not to blame."""
    with tls_website(root.issue_cert("127.0.0.1")) as port:
        answer = fetch(transport(authorities=b"nonsense"), f"https://127.0.0.1:{port}/")
    assert answer.failure == "own"
    assert answer.detail.startswith("cannot check: no certificate authority can be read")


def test_sessions_are_resumed_for_a_while_if_that_is_asked_for(root: trustme.CA, transport: Make, fetch: Fetch) -> None:
    """By the target that made them; the certificate is still known."""
    with tls_website(root.issue_cert("127.0.0.1")) as port:
        one, url = trusting(transport, root), f"https://127.0.0.1:{port}/"
        assert [fetch(one, url).resumed for _ in range(2)] == [False, False]
        answers = [fetch(one, url, target=7, resume_for_s=6.0) for _ in range(3)]
        assert [answer.resumed for answer in answers] == [False, True, True]
        assert answers[0].certificates == answers[2].certificates != []
        assert not fetch(one, url, target=8, resume_for_s=6.0).resumed
        time.sleep(6.1)
        assert not fetch(one, url, target=7, resume_for_s=6.0).resumed


@pytest.mark.parametrize(("speaks", "version"), [(["h2"], "2"), (["http/1.1", "h2"], "1.1"), (["http/1.1"], "1.1")])
def test_a_website_chooses_among_the_versions_that_are_offered(
    speaks: list[str], version: str, root: trustme.CA, transport: Make, fetch: Fetch
) -> None:
    """HTTP/2 and HTTP/1.1 in one handshake."""
    act = http2_page if version == "2" else page
    with tls_website(root.issue_cert("127.0.0.1"), act, alpn=speaks) as port:
        answer = fetch(trusting(transport, root), f"https://127.0.0.1:{port}/", http2=True)
    assert (answer.failure, answer.http_version) == (None, version), answer.detail


def test_http2_is_spoken_where_it_is_offered(root: trustme.CA, transport: Make, fetch: Fetch) -> None:
    """The request is the same, without what belongs to a connection of HTTP/1.1."""
    with tls_website(root.issue_cert("127.0.0.1"), http2_page, alpn=["h2"]) as port:
        one, url = trusting(transport, root), f"https://127.0.0.1:{port}/a?b"
        assert fetch(one, url).failure == "protocol"
        fields = b"User-Agent: me\r\nConnection: close\r\n"
        answer = fetch(one, url, http1=False, http2=True, fields=fields, method="POST", body=b"a=b")
    assert (answer.failure, answer.status, answer.http_version) == (None, 200, "2"), answer.detail
    assert answer.fields == [("x-set", "a"), ("x-set", "b")]
    asked = [
        *((":authority", f"127.0.0.1:{port}"), (":method", "POST"), (":path", "/a?b"), (":scheme", "https")),
        *(("content-length", "3"), ("user-agent", "me")),
    ]
    assert answer.body == repr(asked).encode()


@pytest.mark.parametrize("failure", ["protocol", "older", "unable"])
def test_what_is_asked_again_is_told_of_at_once(failure: str, root: trustme.CA, transport: Make) -> None:
    """What its caller waits meanwhile would count as the website's time."""
    refuses = http2_ends(lambda server, stream: server.reset_stream(stream, h2.errors.ErrorCodes.HTTP_1_1_REQUIRED))
    settings = {"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "AES128-SHA"} if failure == "unable" else {}
    certificate = root.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    act = refuses if failure == "older" else http2_page
    with tls_website(certificate, act, alpn=["h2"], **settings) as port:
        one, url, began = trusting(transport, root), f"https://127.0.0.1:{port}/", time.monotonic()
        http2 = failure == "older"
        one.submit(1, None, 60.0, "GET", url, b"", None, ((200, 299),), 1_000, True, True, http2=http2)
        (answer,) = one.drain(60.0, 10)
    assert answer.failure == failure, answer.detail
    assert time.monotonic() - began < 30.0


def test_http1_is_spoken_where_nothing_is_chosen(root: trustme.CA, transport: Make, fetch: Fetch) -> None:
    """A website that knows no ALPN, asked for HTTP/2."""
    with tls_website(root.issue_cert("127.0.0.1")) as port:
        answer = fetch(trusting(transport, root), f"https://127.0.0.1:{port}/", http1=False, http2=True)
    assert (answer.status, answer.http_version) == (200, "1.1")


def test_an_end_without_close_notify_is_an_end(root: trustme.CA, transport: Make, fetch: Fetch) -> None:
    """Many servers just close, and browsers show the page."""

    def abrupt(connection: ssl.SSLSocket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
        socket.socket(fileno=connection.detach()).close()

    with tls_website(root.issue_cert("127.0.0.1"), abrupt) as port:
        answer = fetch(trusting(transport, root), f"https://127.0.0.1:{port}/")
    assert (answer.failure, answer.body) == (None, b"hello")


@pytest.mark.parametrize(
    ("end", "failure", "detail"),
    [
        (a_page_and_reset, None, ""),
        (half_a_page, "body", "closed within the answer"),
        (
            lambda server, stream: server.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR),
            "answer",
            "the website gave up the request: INTERNAL_ERROR",
        ),
        (
            lambda server, stream: server.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM, last_stream_id=0),
            "answer",
            "the website ended the connection: ENHANCE_YOUR_CALM",
        ),
        (
            lambda server, stream: server.send_headers(stream, [("x-no", "status")]),
            "answer",
            "the answer is not HTTP/2: PROTOCOL_ERROR",
        ),
    ],
)
def test_how_an_answer_over_http2_ends(
    end: Callable[[h2.connection.H2Connection, int], object],
    failure: str | None,
    detail: str,
    root: trustme.CA,
    transport: Make,
    fetch: Fetch,
) -> None:
    """In the standard's words; a stream that is reset without an error is over, as browsers and curl have it."""
    with tls_website(root.issue_cert("127.0.0.1"), http2_ends(end), alpn=["h2"]) as port:
        answer = fetch(trusting(transport, root), f"https://127.0.0.1:{port}/", http1=False, http2=True)
    assert (answer.failure, answer.detail) == (failure, detail)
    assert answer.body == (b"hello" if failure != "answer" else b"")
