"""What one check concludes from what a website does."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import os
import re
import resource
import socket
import ssl
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from monitoring_core.codec import encode
from monitoring_core.config import EngineName
from monitoring_core.config.values import Size
from monitoring_core.result import Reason, Status
from monitoring_core.targets import TargetRecord
from monitoring_testkit.producer.engines import concrete_engines
from monitoring_testkit.producer.probing import DEFAULTS, MAX_BODY, Act, Prober, check, page, says
from producer_svc.check import Check
from producer_svc.checks.certificates import read_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_testkit.websites import RawWebsite

pytestmark = [pytest.mark.integration_test, pytest.mark.usefixtures("unstalled")]
ENGINES = concrete_engines()
# What is to time out does so in a second; what would go on does that for ten. Nothing takes nearly as long as that.
SOON: dict[str, Any] = {"timeout_s": 1.0}
LATE_S = 7.0


def trickle(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _round in range(200):
        connection.sendall(b".")
        time.sleep(0.05)


def trickle_headers(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _round in range(200):
        connection.sendall(b".")
        time.sleep(0.05)


def trickle_chunks(connection: socket.socket, _: bytes) -> None:
    connection.sendall(CHUNKED)
    for _round in range(200):
        connection.sendall(b"1\r\n.\r\n")
        time.sleep(0.05)


def next_page(connection: socket.socket, head: bytes) -> None:
    path = head.split()[1].decode()
    connection.sendall(page(status="302 Found", headers=f"Location: {path}x\r\n"))


def slow_redirects(connection: socket.socket, head: bytes) -> None:
    time.sleep(0.4)
    next_page(connection, head)


def hang(connection: socket.socket, _: bytes) -> None:
    connection.recv(1)


def redirects(status: str, location: str, endless: bool = False) -> Act:
    """Redirects every path but the one that ends with `next`."""

    def act(connection: socket.socket, head: bytes) -> None:
        if b"/next" in head.split(b"\r\n")[0]:
            connection.sendall(page(b"arrived"))
            return
        length = "" if endless else "Content-Length: 0\r\n"
        connection.sendall(f"HTTP/1.1 {status}\r\n{length}Location: {location}\r\n\r\n".encode())
        for _ in range(10_000 if endless else 0):
            connection.sendall(b"x" * 4096)

    return act


def endless(begin: bytes, more: bytes) -> Act:
    """Sends more and more until the other side hangs up, or 40 MB are sent."""

    def act(connection: socket.socket, _: bytes) -> None:
        connection.sendall(begin)
        for _round in range(10_000):
            connection.sendall(more)

    return act


def reset(begin: bytes) -> Act:
    def act(connection: socket.socket, _: bytes) -> None:
        connection.sendall(begin)
        time.sleep(0.1)  # what was sent arrives before the reset throws it away
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


def encoded(encoding: str, body: bytes) -> Act:
    return says(page(body, headers=f"Content-Encoding: {encoding}\r\n"))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROTLI = bytes.fromhex("1b0400f8a5b1")  # compressed, whatever it says
CASES: dict[str, tuple[Act, dict[str, Any], Reason | None]] = {
    "fine": (says(page()), {}, None),
    "regexp matches": (says(page(b"status: OK 200")), {"regexp": r"OK \d+"}, None),
    "regexp with flags": (says(page(b"a\nHELLO")), {"regexp": r"(?im)^hello$"}, None),
    "regexp does not match": (says(page()), {"regexp": "bye"}, Reason.BODY_MISMATCH),
    "regexp in another charset": (
        says(page("größe".encode("latin-1"), headers="Content-Type: text/html; charset=iso-8859-1\r\n")),
        {"regexp": "größe"},
        None,
    ),
    "lying charset": (
        says(page(b"\xfe hello", headers="Content-Type: text/html; charset=x-no\r\n")),
        {"regexp": "hello"},
        None,
    ),
    "regexp that explodes elsewhere": (says(page(b"a" * 5000 + b"!")), {"regexp": "(a+)+$"}, Reason.BODY_MISMATCH),
    "not found": (says(page(status="404 Not Found")), {}, Reason.STATUS_MISMATCH),
    "server error": (says(page(status="500 Oops")), {}, Reason.STATUS_MISMATCH),
    "not found as expected": (says(page(status="404 Not Found")), {"expected_status": "404,410-420"}, None),
    "redirect not followed": (
        says(page(status="302 Found", headers="Location: /x\r\n")),
        {"follow_redirects": False},
        Reason.STATUS_MISMATCH,
    ),
    "redirect without location": (says(page(status="302 Found")), {}, Reason.STATUS_MISMATCH),
    "redirect loop": (says(page(status="302 Found", headers="Location: /\r\n")), {}, Reason.REDIRECT_ERROR),
    "redirect to ftp": (says(page(status="302 Found", headers="Location: ftp://x/\r\n")), {}, Reason.REDIRECT_ERROR),
    "redirect to nonsense": (
        says(page(status="302 Found", headers="Location: http://[/\r\n")),
        {},
        Reason.REDIRECT_ERROR,
    ),
    "gone without an answer": (says(b""), {}, Reason.CONNECTION_ERROR),
    "not HTTP": (says(b"SSH-2.0-OpenSSH\r\n\r\n"), {}, Reason.CONNECTION_ERROR),
    "headers without end": (says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000), {}, Reason.CONNECTION_ERROR),
    "gone halfway": (says(page(b"hello")[:-2]), {}, Reason.BODY_READ_ERROR),
    "garbage for chunks": (
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello"),
        {},
        Reason.BODY_READ_ERROR,
    ),
    "not gzip though it says so": (says(page(headers="Content-Encoding: gzip\r\n")), {}, Reason.BODY_READ_ERROR),
    "gzip": (says(page(gzip.compress(b"hello"), headers="Content-Encoding: gzip\r\n")), {"regexp": "hello"}, None),
    "gzip bomb": (
        says(page(gzip.compress(b"\0" * 50_000_000), headers="Content-Encoding: gzip\r\n")),
        {},
        None,
    ),
    "large": (says(page(b"x" * (MAX_BODY + 1))), {}, None),
    "large, and what is looked for comes first": (says(page(b"hello" + b"x" * MAX_BODY)), {"regexp": "hello"}, None),
    "just not too large": (says(page(b"x" * MAX_BODY)), {}, None),
    "NUL and binary": (says(page(b"\0\x01\xff hello")), {"regexp": "hello"}, None),
    "hangs": (hang, SOON, Reason.TIMEOUT),
    "trickles its body": (trickle, SOON, Reason.TIMEOUT),
    "trickles its headers": (trickle_headers, SOON, Reason.TIMEOUT),
    "head": (says(page(b"")), {"method": "HEAD"}, None),
    "head with a regexp": (says(page(b"")), {"method": "HEAD", "regexp": "hello"}, None),
    "body after a head": (says(page(b"hello")), {"method": "HEAD"}, None),
    "post": (says(page(b"hello")), {"method": "POST", "body": "a=b"}, None),
    "post without a body": (says(page(b"hello")), {"method": "POST"}, None),
    "created": (says(page(status="201 Created")), {}, None),
    "no content": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), {}, None),
    "no content with a regexp": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), {"regexp": "a"}, Reason.BODY_MISMATCH),
    "not modified": (says(b"HTTP/1.1 304 Not Modified\r\n\r\n"), {}, Reason.STATUS_MISMATCH),
    "unheard-of status": (says(page(status="799 What")), {}, Reason.STATUS_MISMATCH),
    "continue first": (says(b"HTTP/1.1 100 Continue\r\n\r\n" + page()), {"regexp": "hello"}, None),
    "early hints first": (says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + page()), {"regexp": "hello"}, None),
    "switching protocols": (says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), {}, Reason.CONNECTION_ERROR),
    "status is not in the list": (says(page()), {"expected_status": "201,301-308"}, Reason.STATUS_MISMATCH),
    "redirect as expected": (
        says(page(status="302 Found", headers="Location: /x\r\n")),
        {"follow_redirects": False, "expected_status": "302"},
        None,
    ),
    "redirect to a relative path": (redirects("302 Found", "next?a=b#c"), {"regexp": "arrived"}, None),
    "redirect 301": (redirects("301 Moved Permanently", "/next"), {"regexp": "arrived"}, None),
    "redirect 303": (redirects("303 See Other", "/next"), {"regexp": "arrived"}, None),
    "redirect 307": (redirects("307 Temporary Redirect", "/next"), {"regexp": "arrived"}, None),
    "redirect 308": (redirects("308 Permanent Redirect", "/next"), {"regexp": "arrived"}, None),
    "redirect 300 is not one": (redirects("300 Multiple Choices", "/next"), {}, Reason.STATUS_MISMATCH),
    "redirect to no host": (redirects("302 Found", "http://"), {}, Reason.REDIRECT_ERROR),
    "redirect to a dead port": (redirects("302 Found", "http://127.0.0.1:1/"), {}, Reason.CONNECTION_ERROR),
    "redirect to a dead name": (redirects("302 Found", "http://gone.invalid/"), {}, Reason.DNS_ERROR),
    "redirect with an endless body": (redirects("302 Found", "/next", endless=True), {"regexp": "arrived"}, None),
    "deflate": (encoded("deflate", zlib.compress(b"hello")), {"regexp": "hello"}, None),
    "deflate without its wrapping": (encoded("deflate", zlib.compress(b"hello")[2:-4]), {"regexp": "hello"}, None),
    "deflate bomb": (
        encoded("deflate", zlib.compress(b"\0" * 50_000_000)),
        {"regexp": "hello"},
        Reason.BODY_TOO_LARGE,
    ),
    "gzip in two members": (encoded("gzip", gzip.compress(b"hel") + gzip.compress(b"lo")), {"regexp": "hello"}, None),
    "gzip cut off": (encoded("gzip", gzip.compress(b"hello" * 9)[:15]), {}, Reason.BODY_READ_ERROR),
    "brotli, which nobody asked for": (encoded("br", BROTLI), {"regexp": "hello"}, Reason.BODY_MISMATCH),
    "gzip bomb in chunks": (
        says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"\0" * 50_000_000)),
        {"regexp": "hello"},
        Reason.BODY_TOO_LARGE,
    ),
    "brotli bomb, which nobody asked for": (encoded("br", BROTLI * 2_000), {}, None),
    "two encodings": (
        encoded("gzip, gzip", gzip.compress(gzip.compress(b"hello"))),
        {"regexp": "hello"},
        None,
    ),
    "trickles chunks": (trickle_chunks, SOON, Reason.TIMEOUT),
    "redirect over and over to the next page": (next_page, {}, Reason.REDIRECT_ERROR),
    "slow redirects": (slow_redirects, SOON, Reason.TIMEOUT),
    "status line without a status": (says(b"HTTP/1.1\r\n\r\n"), {}, Reason.CONNECTION_ERROR),
    "status that is no number": (says(b"HTTP/1.1 abc OK\r\n\r\n"), {}, Reason.CONNECTION_ERROR),
    "HTTP/2 without asking": (says(b"\0\0\x12\4\0\0\0\0\0" + b"\0" * 18), {}, Reason.CONNECTION_ERROR),
    "empty": (says(page(b"")), {}, None),
    "empty with a regexp": (says(page(b"")), {"regexp": "hello"}, Reason.BODY_MISMATCH),
    "regexp past the limit": (says(page(b"x" * MAX_BODY + b"hello")), {"regexp": "hello"}, Reason.BODY_TOO_LARGE),
    "endless": (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096), {}, None),
    "endless, with a regexp": (
        endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096),
        {"regexp": "hello"},
        Reason.BODY_TOO_LARGE,
    ),
    "endless chunks": (endless(CHUNKED, b"4\r\nabcd\r\n" * 500), {}, None),
    "endless informational answers": (
        endless(b"", b"HTTP/1.1 103 Hi\r\nA: b\r\n\r\n" * 50),
        {},
        Reason.CONNECTION_ERROR,
    ),
    "chunks": (says(CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), {"regexp": "hello"}, None),
    "chunks with a trailer": (says(CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"), {"regexp": "hello"}, None),
    "chunks cut off": (says(CHUNKED + b"5\r\nhel"), {}, Reason.BODY_READ_ERROR),
    "more than its length": (says(page(b"hello") + b" and more"), {"regexp": "hello$"}, None),
    "two lengths": (says(page(headers="Content-Length: 4\r\n")), {}, Reason.CONNECTION_ERROR),
    "length twice": (says(page(headers="Content-Length: 5\r\n")), {}, None),
    "length is text": (says(b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nhello"), {}, Reason.CONNECTION_ERROR),
    "negative length": (says(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"), {}, Reason.CONNECTION_ERROR),
    "200 headers": (says(page(headers="X: y\r\n" * 200)), {}, None),
    "too many headers": (says(page(headers="X: y\r\n" * 6_000)), {}, Reason.CONNECTION_ERROR),
    "too large a header": (says(page(headers=f"X: {'y' * 300_000}\r\n")), {}, Reason.CONNECTION_ERROR),
    "too large headers": (says(page(headers=f"X: {'y' * 2_000}\r\n" * 150)), {}, Reason.CONNECTION_ERROR),
    "header without a colon": (says(page(headers="hello there\r\n")), {}, Reason.CONNECTION_ERROR),
    "NUL in a header": (says(page(headers="X: a\0b\r\n")), {}, Reason.CONNECTION_ERROR),
    "HTTP/1.0": (says(b"HTTP/1.0 200 OK\r\n\r\nhello"), {"regexp": "hello"}, None),
    "HTTP/0.9": (says(b"<html>hello</html>"), {}, Reason.CONNECTION_ERROR),
    "reset before the answer": (reset(b""), {}, Reason.CONNECTION_ERROR),
    "reset in the body": (reset(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), {}, Reason.BODY_READ_ERROR),
    "charset in quotes": (
        says(page("größe".encode("utf-16"), headers='Content-Type: text/html; charset="UTF-16"; a=b\r\n')),
        {"regexp": "^größe$"},
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_what_the_website_did(name: str, probe: Prober, website: RawWebsite) -> None:
    """A website is judged by what it did, with the one reason that fits, within its timeout."""
    act, fields, reason = CASES[name]
    website.answer(act)
    result = check(probe, website.url, **fields)
    assert (result.reason, result.status) == (reason, reason.status if reason else Status.UP), result.error
    assert result.response_time_s is not None
    assert result.response_time_s < LATE_S
    assert (result.error is None) == (reason is None)


def test_a_port_that_is_refused_is_a_connection_error(probe: Prober) -> None:
    """Nobody listening is the website's doing."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        result = check(probe, f"http://127.0.0.1:{port}/")
    assert result.reason is Reason.CONNECTION_ERROR
    assert result.error == f"127.0.0.1:{port}: Connection refused"
    assert (result.connect_s, result.first_byte_s, result.remote_address) == (None, None, None)


def test_a_name_without_address_is_a_dns_error(probe: Prober) -> None:
    """A host name that does not exist (RFC 6761: .invalid never does) is told apart from a dead host."""
    result = check(probe, "http://does-not-exist.invalid/")
    assert result.reason is Reason.DNS_ERROR
    assert (result.dns_s, result.connect_s, result.first_byte_s) == (None, None, None)


def test_plain_http_on_a_tls_port_is_a_tls_error(probe: Prober, website: RawWebsite) -> None:
    """An answer that is not TLS fails in the handshake, and the error says so."""
    website.answer(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    result = check(probe, website.url.replace("http:", "https:"), **SOON)
    assert result.reason in (Reason.TLS_ERROR, Reason.TIMEOUT)


@pytest.mark.parametrize(
    ("host", "named", "reached"),
    [
        ("127.0.0.1", {"X-Token": "s3cret", "User-Agent": "ours/1"}, {"X-Token", "User-Agent"}),  # another port
        ("localhost", {"X-Token": "s3cret", "User-Agent": "ours/1"}, {"User-Agent"}),
        ("localhost", {"Cookie": "s3cret=1", "X-Lang": "de"}, {"X-Lang"}),
        ("localhost", {"Authorization": "Bearer s3cret"}, set()),
        ("localhost", {"Proxy-Authorization": "s3cret", "X-Api-Key": "s3cret", "Accept": "text/x"}, {"Accept"}),
    ],
)
def test_what_is_secret_goes_to_the_targets_own_host_alone(
    host: str, named: dict[str, str], reached: set[str], probe: Prober, website: RawWebsite
) -> None:
    """Another host sees the rest of the target's headers: without them it may answer something else."""
    other = type(website)()
    other.answer(says(page()))

    def act(connection: socket.socket, head: bytes) -> None:
        location = "/second" if head.split()[1] == b"/" else f"http://{host}:{other.port}/"
        connection.sendall(page(status="302 Found", headers=f"Location: {location}\r\n"))

    website.answer(act)
    result = check(probe, website.url, headers=named)
    other.close()
    assert result.status is Status.UP, result.error
    lines = [f"{name}: {value}".encode() for name, value in named.items()]
    assert all(line in request for request in website.requests for line in lines)
    (request,) = other.requests
    assert {name for name, value in named.items() if f"{name}: {value}".encode() in request} == reached


def test_each_check_opens_a_connection_of_its_own(probe: Prober, website: RawWebsite) -> None:
    """A reused connection would hide that a website no longer takes new ones."""
    website.answer(says(page()))
    check(probe, website.url)
    check(probe, website.url)
    assert len(website.requests) == 2


def test_a_user_agent_says_who_checks(probe: Prober, website: RawWebsite) -> None:
    """The prober names itself, so that a website's operator can tell."""
    website.answer(says(page()))
    check(probe, website.url)
    assert re.search(rb"User-Agent: website-availability-monitor/\d", website.requests[0])


def test_credentials_in_the_url_reach_the_website_and_nothing_else(probe: Prober, website: RawWebsite) -> None:
    """User name and password go out as basic authentication, and never into an error text."""
    website.answer(says(page(status="401 Unauthorized")))
    result = check(probe, f"http://user:s3cret@127.0.0.1:{website.port}/")
    assert b"Authorization: Basic dXNlcjpzM2NyZXQ=" in website.requests[0]
    assert b"s3cret" not in encode(result)


def test_the_measurements_of_a_check_add_up(probe: Prober, website: RawWebsite) -> None:
    """The phases are within the response time, and waiting in the prober is not in it."""
    website.answer(says(page()))
    target = TargetRecord.parse({"id": 7, "url": website.url}).resolve(DEFAULTS)
    result = probe.check(Check(target, 60_000, time.monotonic() - 60.0))
    phases = [result.dns_s, result.connect_s, result.first_byte_s, result.transfer_s]
    assert all(phase is not None for phase in phases)
    assert sum(phase or 0.0 for phase in phases) <= (result.response_time_s or 0.0)
    assert (result.response_time_s or 60.0) < 60.0
    assert result.queue_delay_s is not None
    assert result.queue_delay_s >= 60.0
    assert result.remote_address == "127.0.0.1"
    assert (result.http_status, result.body_bytes, result.producer_id, result.location) == (200, 5, 3, "here")


@pytest.mark.parametrize("engine", ENGINES)
def test_denied_networks_are_not_connected_to_on_any_hop(engine: EngineName, website: RawWebsite) -> None:
    """Neither a target nor a redirect leads into them."""
    probe = Prober(engine, denied_networks=("127.0.0.2/32",))
    website.answer(says(page(status="302 Found", headers=f"Location: http://127.0.0.2:{website.port}/\r\n")))
    for url in (f"http://127.0.0.2:{website.port}/", website.url):
        result = check(probe, url)
        assert result.reason is Reason.CONNECTION_ERROR
        assert result.error == (
            f"127.0.0.2:{website.port}: 127.0.0.2 is in 127.0.0.2/32, which monitor.denied_networks forbids"
        )
        assert result.final_url == f"http://127.0.0.2:{website.port}/"
        assert (result.response_time_s or 0.0) < LATE_S  # nobody waits for the time to be over
    assert len(website.requests) == 1


def test_a_mapped_address_does_not_pass(probe: Prober) -> None:
    """The cloud's metadata address is denied by default, however it is written."""
    for host in ("169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::169.254.169.254]"):
        result = check(probe, f"http://{host}/latest/meta-data")
        assert result.reason is Reason.CONNECTION_ERROR
        assert "monitor.denied_networks" in (result.error or "")


@pytest.mark.parametrize("engine", ENGINES)
def test_no_address_at_all_is_this_machine(engine: EngineName, website: RawWebsite) -> None:
    """Linux connects to itself then; who denies that denies this."""
    website.answer(says(page()))
    probe = Prober(engine, denied_networks=("127.0.0.0/8", "::1/128"))
    for host in ("0.0.0.0", "0", "[::ffff:0.0.0.0]", "[::]"):
        result = check(probe, f"http://{host}:{website.port}/")
        assert "monitor.denied_networks" in (result.error or ""), host
    assert website.requests == []


def test_a_post_sends_its_body_and_a_redirect_makes_it_a_get(probe: Prober, website: RawWebsite) -> None:
    """As browsers do: 302 asks with GET for the other page."""

    def act(connection: socket.socket, head: bytes) -> None:
        redirect = head.startswith(b"POST /")
        connection.sendall(page(status="302 Found" if redirect else "200 OK", headers="Location: /thanks\r\n"))

    website.answer(act)
    result = check(probe, website.url, method="POST", body="q=größe", headers={"Content-Type": "text/x-query"})
    assert result.status is Status.UP, result.error
    first, second = website.requests
    assert first.startswith(b"POST / HTTP/1.1\r\n")
    assert re.search(rb"(?i)content-length: 9\r\n", first)
    assert first.lower().count(b"content-type:") == 1
    assert second.startswith(b"GET /thanks HTTP/1.1\r\n")
    assert b"ontent-" not in second.replace(b"Content-Type: text/x-query", b"")


def test_a_failed_check_keeps_what_shows_why(website: RawWebsite) -> None:
    """The last URL, and the beginning of the page that the regexp was not found in; neither when it is up."""
    website.answer(says(page(b"Sorry\x00!\nBack soon")))
    for engine in ENGINES:
        probe = Prober(engine, body_excerpt=Size(9))
        result = check(probe, website.url + "path?a=b#c", regexp="Welcome")
        assert (result.final_url, result.body_excerpt) == (website.url + "path?a=b", "Sorry !\nB")
        result = check(probe, website.url, regexp="Sorry")
        assert (result.final_url, result.body_excerpt) == (None, None)


class TlsWebsite:
    """Answers over TLS with a certificate and protocol of its own, or does something else in the handshake."""

    def __init__(
        self,
        authority: trustme.CA,
        *names: str,
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
    ) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names, not_before=not_before, not_after=not_after).configure_cert(self.context)


YEAR = dt.timedelta(days=365)
NOW = dt.datetime.now(dt.UTC)
TLS_CASES: dict[str, tuple[Callable[[trustme.CA], ssl.SSLContext | str], Reason | None]] = {
    "fine": (lambda ca: TlsWebsite(ca, "127.0.0.1").context, None),
    "expired": (
        lambda ca: TlsWebsite(ca, "127.0.0.1", not_before=NOW - 2 * YEAR, not_after=NOW - YEAR).context,
        Reason.TLS_ERROR,
    ),
    "not yet valid": (
        lambda ca: TlsWebsite(ca, "127.0.0.1", not_before=NOW + YEAR, not_after=NOW + 2 * YEAR).context,
        Reason.TLS_ERROR,
    ),
    "wrong host": (lambda ca: TlsWebsite(ca, "example.org").context, Reason.TLS_ERROR),
    "unknown authority": (lambda ca: TlsWebsite(trustme.CA(), "127.0.0.1").context, Reason.TLS_ERROR),
    "old protocol": (lambda ca: old(TlsWebsite(ca, "127.0.0.1").context), Reason.TLS_ERROR),
    "handshake that hangs": (lambda ca: "hang", Reason.TIMEOUT),
    "reset in the handshake": (lambda ca: "reset", Reason.CONNECTION_ERROR),
    "closed in the handshake": (lambda ca: "close", Reason.CONNECTION_ERROR),
    "not TLS": (lambda ca: "plain", Reason.TLS_ERROR),
}


def old(context: ssl.SSLContext) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TLS_CASES)
def test_tls_trouble_is_told_apart(
    name: str, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate or protocol that is not to be trusted, and a peer that hangs or hangs up."""
    make, reason = TLS_CASES[name]
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    habit = make(authority)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:

        def serve() -> None:
            connection, _ = listener.accept()
            listener.close()  # whoever comes again for the certificate does not wait for it
            with connection, contextlib.suppress(OSError):
                if isinstance(habit, ssl.SSLContext):
                    with habit.wrap_socket(connection, server_side=True) as secure:
                        secure.recv(65536)
                        secure.sendall(page())
                    return
                connection.recv(65536)
                if habit == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif habit == "plain":
                    connection.sendall(page(status="400 Bad Request"))
                elif habit == "hang":
                    connection.recv(1)

        pool.submit(serve)
        fields = SOON if reason is Reason.TIMEOUT else {}
        result = check(Prober(engine), f"https://127.0.0.1:{listener.getsockname()[1]}/", **fields)
    assert result.reason == reason, result.error
    assert result.response_time_s is not None
    assert result.response_time_s < LATE_S


@pytest.mark.parametrize("url", ["http://münchen.invalid/", "http://a..invalid/", "http://x." + "y" * 64 + ".invalid/"])
def test_names_that_are_none(probe: Prober, url: str) -> None:
    """International names are looked up as such; what cannot be a name is no website."""
    assert check(probe, url).reason in (Reason.DNS_ERROR, Reason.PROBER_ERROR)


@pytest.mark.parametrize("host", ["*.example", ".example"])
def test_a_target_that_cannot_be_requested_ends_as_the_probers_fault(probe: Prober, host: str) -> None:
    """Nobody was asked, the next check has its place, and the producer goes on."""
    result = check(probe, f"http://user:secret@{host}/")
    assert (result.status, result.reason, result.final_url) == (Status.UNKNOWN, Reason.PROBER_ERROR, None)
    assert result.error == f"http://{host}/ cannot be requested"
    assert probe.engine.running == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_certificate_is_recorded_and_shown_when_the_check_fails(
    engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its expiry always, with a trusted authority and without verification; its names when something is wrong."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    expires = dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    authority.issue_cert("127.0.0.1", not_after=expires, organization_name="Shop").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:

        def serve() -> None:
            # The engine `requests` asks twice for a certificate that it refuses.
            for _ in range(4 + (engine is EngineName.REQUESTS)):
                connection, _ = listener.accept()
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(65536)
                    secure.sendall(page())

        served = pool.submit(serve)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        assert check(Prober(engine), url).reason is Reason.TLS_ERROR
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        trusting = Prober(engine)
        up = check(trusting, url)
        down = check(trusting, url, regexp="other")
        unverified = check(Prober(engine), url, verify_tls=False)
        served.result(60)
    assert up.status is Status.UP, up.error
    assert (up.certificate_expires_at, up.certificate_subject) == (expires, None)
    assert unverified.certificate_expires_at == expires
    assert "Shop" in (down.certificate_subject or "")
    assert "trustme" in (down.certificate_issuer or "")
    assert (up.tls_s or 0) > 0


@pytest.mark.parametrize("verify_tls", [True, False])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_certificate_that_is_not_in_utf_8_is_no_trouble(engine: EngineName, verify_tls: bool, tmp_path: Path) -> None:
    """Such as one with a comment in another encoding."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Shop")])
    comment = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.16.840.1.113730.1.13"), b"\x16\x04caf\xe9")
    expires = dt.datetime(2099, 1, 2, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), expires)
        .add_extension(comment, critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "own.pem").write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:

        def serve() -> None:
            for _ in range(1 + (verify_tls and engine is EngineName.REQUESTS)):
                connection, _ = listener.accept()
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(65536)
                    secure.sendall(page())

        pool.submit(serve)
        result = check(Prober(engine), f"https://127.0.0.1:{listener.getsockname()[1]}/", verify_tls=verify_tls)
    assert result.reason is (Reason.TLS_ERROR if verify_tls else None)
    assert result.certificate_expires_at == expires


def test_a_certificate_of_an_unknown_version_cannot_be_read_and_decides_nothing() -> None:
    """OpenSSL accepts it, and its fields are only evidence."""
    der = ssl.PEM_cert_to_DER_cert(trustme.CA().cert_pem.bytes().decode())
    assert read_certificate(der) is not None
    third, fourth = bytes.fromhex("a003020102"), bytes.fromhex("a003020103")
    assert read_certificate(der.replace(third, fourth, 1)) is None


@pytest.mark.parametrize("engine", ENGINES)
def test_a_refused_certificate_is_kept(engine: EngineName) -> None:
    """Who it names and when it expires is what a person asks first. Nothing is sent to fetch it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    expired = dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    trustme.CA().issue_cert("127.0.0.1", not_after=expired, organization_name="Shop").configure_cert(context)
    received = []
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:

        def serve() -> None:
            for _ in range(1 + (engine is EngineName.REQUESTS)):
                connection, _ = listener.accept()
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                    received.append(secure.recv(65536))

        served = pool.submit(serve)
        result = check(Prober(engine), f"https://127.0.0.1:{listener.getsockname()[1]}/")
        served.result(60)
    assert result.reason is Reason.TLS_ERROR
    assert result.certificate_expires_at == expired
    assert "Shop" in (result.certificate_subject or "")
    assert result.error is not None
    assert b"".join(received) == b""


def test_a_refused_certificate_is_fetched_within_the_budget() -> None:
    """A website that hangs in the second handshake costs no more than the target's timeout, and no response time."""
    engine = EngineName.REQUESTS  # the engine `native` has the certificate from the first
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:

        def serve() -> None:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while connection.recv(65536):
                    pass

        served = pool.submit(serve)
        began = time.monotonic()
        result = check(Prober(engine), f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=4.0)
        took = time.monotonic() - began
        served.result(30)
    assert (result.reason, result.certificate_expires_at) == (Reason.TLS_ERROR, None)
    assert result.response_time_s is not None
    assert result.response_time_s < 3.0
    assert took < 20.0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_running_out_of_descriptors_is_the_probers_own_fault(
    engine: EngineName, host: str, website: RawWebsite
) -> None:
    """Neither a connection nor a look-up that found no descriptor left says anything about the website."""
    website.answer(says(page()))
    url = f"http://{host}:{website.port}/"
    prober = Prober(engine)
    before = check(prober, url)
    assert before.status is Status.UP, before.error  # what is opened once is open now
    with no_descriptors():
        result = check(prober, url)
    assert (result.status, result.reason) == (Status.UNKNOWN, Reason.PROBER_ERROR), result.error
    assert "ran out of resources: Too many open files" in (result.error or "")
    assert (result.response_time_s or 0.0) < LATE_S
    after = check(prober, url)
    assert after.status is Status.UP, after.error


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """While the block runs, this process can open nothing, whatever another thread closes meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for standard in range(3):
        os.fstat(standard)  # open, so that no number below the limit is free
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_name_with_a_dead_address_first_is_reached_by_the_next(engine: EngineName, website: RawWebsite) -> None:
    """localhost is ::1 first where there is IPv6; the website listens on 127.0.0.1 alone."""
    website.answer(says(page()))
    result = check(Prober(engine), f"http://localhost:{website.port}/")
    assert (result.status, result.remote_address) == (Status.UP, "127.0.0.1")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_website_on_ipv6_alone(engine: EngineName) -> None:
    """A literal address in brackets, and what the result says of it."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener, ThreadPoolExecutor() as pool:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(page())

        served = pool.submit(serve)
        result = check(Prober(engine), f"http://[::1]:{listener.getsockname()[1]}/")
        served.result(60)
    assert (result.status, result.remote_address) == (Status.UP, "::1")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_connection_that_nobody_answers_ends_with_the_budget(engine: EngineName) -> None:
    """A full accept queue swallows what comes, as a firewall that drops does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        result = check(Prober(engine), f"http://127.0.0.1:{listener.getsockname()[1]}/", **SOON)
    assert result.reason is Reason.TIMEOUT
    assert result.response_time_s is not None
    assert 0.9 < result.response_time_s < LATE_S


@pytest.mark.parametrize("engine", ENGINES)
def test_signals_leave_no_engine_waiting(engine: EngineName) -> None:
    """A signal near the end of an engine's wait must not leave the producer unable to check or to stop."""
    program = (
        "import signal\n"
        "from monitoring_core.config import EngineName, MonitorConfig\n"
        "from producer_svc.checks.kinds import build_engine\n"
        f"engine = build_engine(MonitorConfig(engine=EngineName({str(engine)!r})))\n"
        "signal.signal(signal.SIGALRM, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)\n"
        "for _ in range(2_000):\n    engine.drain_finished(0.002)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "print('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ended\n"
