"""What engines conclude from the answers that websites in the world give, right or wrong; the same on each engine.

The rule is what browsers and curl show; where they differ, the RFC.
"""

from __future__ import annotations

import gzip
import os
import socket
import struct
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from monitoring_core.config import EngineName
from monitoring_core.config.values import Size
from monitoring_core.result import Reason, Status
from monitoring_testkit.producer.engines import concrete_engines
from monitoring_testkit.producer.probing import MAX_BODY, Act, Prober, check, page, says
from producer_svc.checks.http.body import Body
from producer_svc.checks.http.charset import media_type, to_utf8
from producer_svc.checks.http.cookies import Cookies
from producer_svc.checks.http.exchange import Exchange
from producer_svc.checks.http.request import Request

if TYPE_CHECKING:
    from monitoring_core.result import CheckResult
    from monitoring_testkit.websites import RawWebsite
    from producer_svc.checks.ending import EndingError

pytestmark = [pytest.mark.integration_test, pytest.mark.usefixtures("unstalled")]

OK = b"HTTP/1.1 200 OK\r\n"
HELLO: dict[str, Any] = {"regexp": "hello"}


def holds(answer: bytes) -> Act:
    """Answers, and leaves the connection open."""

    def act(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer)
        connection.recv(1)

    return act


def in_pieces(answer: bytes, size: int = 1) -> Act:
    def act(connection: socket.socket, _: bytes) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(answer), size):
            connection.sendall(answer[at : at + size])
            time.sleep(0.001)

    return act


def typed(content_type: str, body: bytes) -> Act:
    return says(page(body, headers=f"Content-Type: {content_type}\r\n"))


def compressed(codings: str, body: bytes) -> bytes:
    return page(body, headers=f"Content-Encoding: {codings}\r\n")


def events(content_type: str = "text/event-stream") -> Act:
    def act(connection: socket.socket, _: bytes) -> None:
        connection.sendall(OK + f"Content-Type: {content_type}\r\n\r\n".encode())
        for _round in range(200):
            connection.sendall(b"data: hello\n\n")
            time.sleep(0.05)

    return act


def resets_after(answer: bytes) -> Act:
    def act(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer)
        time.sleep(0.1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


RAW_DEFLATE = zlib.compress(b"hello " * 50)[2:-4]
# An answer, fields of the target, and the reason for which the website is down, if it is.
ANSWERS: dict[str, tuple[Act, dict[str, Any], Reason | None]] = {
    # Lines
    "LF alone": (says(b"HTTP/1.1 200 OK\nContent-Length: 5\nX: y\n\nhello"), HELLO, None),
    "LF alone in chunks": (says(OK[:-2] + b"\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n"), HELLO, None),
    "no reason phrase": (says(b"HTTP/1.0 200\r\n\r\nhello"), HELLO, None),
    "two spaces in the status line": (says(b"HTTP/1.1  200  OK\r\n\r\nhello"), HELLO, None),
    "a tab in the status line": (says(b"HTTP/1.1 200\tOK\r\n\r\nhello"), HELLO, None),
    "lower case in the status line": (says(b"http/1.1 200 ok\r\n\r\nhello"), HELLO, None),
    "a blank line first": (says(b"\r\n" + page()), HELLO, None),
    "blank lines without end": (says(b"\r\n" * 200_000), {}, Reason.CONNECTION_ERROR),
    "HTTP/2.0 as text": (says(b"HTTP/2.0 200 OK\r\n\r\nhello"), HELLO, None),
    "HTTP/1.2": (says(b"HTTP/1.2 200 OK\r\n\r\nhello"), HELLO, None),
    "HTTP without a number": (says(b"HTTP/ 200 OK\r\n\r\nhello"), {}, Reason.CONNECTION_ERROR),
    "HTTP/1.": (says(b"HTTP/1. 200 OK\r\n\r\nhello"), {}, Reason.CONNECTION_ERROR),
    "four digits of status": (says(b"HTTP/1.1 2000 OK\r\n\r\nhello"), {}, Reason.CONNECTION_ERROR),
    "two digits of status": (says(b"HTTP/1.1 20 OK\r\n\r\nhello"), {}, Reason.CONNECTION_ERROR),
    "ICY": (says(b"ICY 200 OK\r\n\r\nhello"), {}, Reason.CONNECTION_ERROR),
    "one byte": (says(b"H"), {}, Reason.CONNECTION_ERROR),
    "one blank line": (says(b"\r\n"), {}, Reason.CONNECTION_ERROR),
    "status line alone": (says(OK), {}, Reason.CONNECTION_ERROR),
    "in single bytes": (in_pieces(page()), HELLO, None),
    "status 999 as expected": (says(page(status="999 No")), {"expected_status": "200-299,999"}, None),
    # Fields
    "space before the colon": (says(page(headers="X-Thing : y\r\n")), HELLO, None),
    "space before the colon of the length": (holds(OK + b"Content-Length : 5\r\n\r\nhello"), HELLO, None),
    "space in a name": (says(page(headers="X Thing: y\r\n")), HELLO, None),
    "control character in a name": (says(page(headers="X\x01: y\r\n")), HELLO, None),
    "NUL in a name": (says(page(headers="X\0: y\r\n")), {}, Reason.CONNECTION_ERROR),
    "a name that is none does not tell a length": (
        says(OK + b"Content Length: 2\r\n\r\nhello"),
        HELLO,
        None,
    ),
    "folded": (says(page(headers="X: a\r\n b\r\n\tc\r\n")), HELLO, None),
    "folded, with the colon in its second line": (says(page(headers="X\r\n : a\r\n")), HELLO, None),
    "folded, with a colon in no line": (says(page(headers="X\r\n a\r\n")), {}, Reason.CONNECTION_ERROR),
    "folded first": (says(OK + b" X: a\r\n\r\nhello"), {}, Reason.CONNECTION_ERROR),
    "bare CR in a value": (says(page(headers="X: a\rb\r\n")), HELLO, None),
    "a name that is not ASCII": (says(page(headers="X-Gr\xf6\xdfe: 5\r\n")), HELLO, None),
    "a value that is not ASCII": (says(page(headers="X: gr\xf6\xdfe\r\n")), HELLO, None),
    "no name": (says(page(headers=": y\r\n")), HELLO, None),
    "a line without a colon": (says(page(headers="garbage\r\n")), {}, Reason.CONNECTION_ERROR),
    "no value": (says(page(headers="X:\r\n")), HELLO, None),
    "150 fields": (says(page(headers="".join(f"X-{n}: y\r\n" for n in range(150)))), HELLO, None),
    "4,000 fields": (says(page(headers="".join(f"X-{n}: y\r\n" for n in range(4_000)))), HELLO, None),
    "6,000 fields": (says(page(headers="".join(f"X-{n}: y\r\n" for n in range(6_000)))), {}, Reason.CONNECTION_ERROR),
    "a field of 200 kB": (says(page(headers=f"X: {'y' * 200_000}\r\n")), HELLO, None),
    "a field of 300 kB": (says(page(headers=f"X: {'y' * 300_000}\r\n")), {}, Reason.CONNECTION_ERROR),
    # Ends
    "204 with chunks, held open": (holds(b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n"), {}, None),
    "204 with a length, held open": (holds(b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"), {}, None),
    "204, held open": (holds(b"HTTP/1.1 204 No\r\n\r\n"), {}, None),
    "304 with a length": (
        holds(b"HTTP/1.1 304 No\r\nContent-Length: 500\r\n\r\n"),
        {"expected_status": "304"},
        None,
    ),
    "HEAD with chunks": (holds(OK + b"Transfer-Encoding: chunked\r\n\r\n"), {"method": "HEAD"}, None),
    "held open after its length": (holds(page()), HELLO, None),
    "held open after its chunks": (
        holds(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        HELLO,
        None,
    ),
    "last chunk is missing": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        {},
        Reason.BODY_READ_ERROR,
    ),
    "last line break is missing": (says(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"), HELLO, None),
    "chunked twice": (
        holds(OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n5\r\nhello\r\n0\r\n\r\n"),
        HELLO,
        None,
    ),
    "chunked in capitals": (holds(OK + b"Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), HELLO, None),
    "chunks and a length": (
        holds(OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        HELLO,
        None,
    ),
    "identity": (holds(OK + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"), HELLO, None),
    "identity to the end": (says(OK + b"Transfer-Encoding: identity\r\n\r\nhello"), HELLO, None),
    "gzip in chunks": (
        says(
            OK
            + b"Transfer-Encoding: gzip, chunked\r\n\r\n"
            + b"%x\r\n%b\r\n0\r\n\r\n" % (len(gzip.compress(b"hello")), gzip.compress(b"hello"))
        ),
        HELLO,
        None,
    ),
    "size of a chunk with spaces": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n5   \r\nhello\r\n0\r\n\r\n"),
        HELLO,
        None,
    ),
    "size of a chunk with an extension": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0;c\r\n\r\n"),
        HELLO,
        None,
    ),
    "size of a chunk with a long extension": (
        in_pieces(OK + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"a" * 9_000 + b"\r\nhello\r\n0\r\n\r\n", 4_000),
        HELLO,
        None,
    ),
    "size of a chunk with an extension without end": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n"),
        {},
        Reason.BODY_READ_ERROR,
    ),
    "size of a chunk with many zeros": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 20 + b"5\r\nhello\r\n0\r\n\r\n"),
        HELLO,
        None,
    ),
    "a long trailer": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: " + b"y" * 20_000 + b"\r\n\r\n"),
        HELLO,
        None,
    ),
    "a trailer without end": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: " + b"y" * 300_000 + b"\r\n\r\n"),
        {},
        Reason.CONNECTION_ERROR,
    ),
    "size of a chunk with a sign": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n"),
        {},
        Reason.BODY_READ_ERROR,
    ),
    "no size of a chunk": (says(OK + b"Transfer-Encoding: chunked\r\n\r\n\r\n"), {}, Reason.BODY_READ_ERROR),
    "chunk larger than its size": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n"),
        {},
        Reason.BODY_READ_ERROR,
    ),
    "reset after its length": (resets_after(page()), HELLO, None),
    "reset without a length": (resets_after(OK + b"\r\nhello"), {}, Reason.BODY_READ_ERROR),
    "a length beyond all numbers": (
        says(OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nhi"),
        {},
        Reason.CONNECTION_ERROR,
    ),
    "an event stream": (events(), {}, None),
    "pictures of a camera": (events("multipart/x-mixed-replace; boundary=x"), {}, None),
    "a radio": (events("Audio/mpeg"), {}, None),
    "an event stream with what is looked for": (events(), HELLO | {"timeout_s": 1.0}, None),
    "an event stream without it": (events(), {"regexp": "goodbye", "timeout_s": 1.0}, Reason.BODY_MISMATCH),
    # Compression
    "raw deflate in single bytes": (
        in_pieces(OK + b"Content-Encoding: deflate\r\n\r\n" + RAW_DEFLATE),
        HELLO,
        None,
    ),
    "gzip in single bytes": (in_pieces(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello")), HELLO, None),
    "one byte of gzip": (says(page(b"\x1f", headers="Content-Encoding: gzip\r\n")), {}, Reason.BODY_READ_ERROR),
    "gzip of nothing": (says(page(b"", headers="Content-Encoding: gzip\r\n")), {}, None),
    "gzip without its trailer": (
        says(page(gzip.compress(b"hello")[:-8], headers="Content-Encoding: gzip\r\n")),
        HELLO,
        None,
    ),
    "gzip with half its trailer": (
        says(page(gzip.compress(b"hello")[:-3], headers="Content-Encoding: gzip\r\n")),
        HELLO,
        None,
    ),
    "deflate without its trailer": (
        says(page(zlib.compress(b"hello")[:-4], headers="Content-Encoding: deflate\r\n")),
        HELLO,
        None,
    ),
    "gzip and what a script says after it": (says(compressed("gzip", gzip.compress(b"hello") + b"\r\n")), HELLO, None),
    "gzip and zeros": (says(compressed("gzip", gzip.compress(b"hello") + bytes(20))), HELLO, None),
    "gzip and what looks like a second member": (
        says(compressed("gzip", gzip.compress(b"hello") + b"\x1f\x8bhello")),
        HELLO,
        None,
    ),
    "two members of gzip": (
        in_pieces(compressed("gzip", gzip.compress(b"hel") + gzip.compress(b"lo"))),
        HELLO,
        None,
    ),
    "a second member of gzip that breaks off": (
        says(compressed("gzip", gzip.compress(b"hello") + gzip.compress(os.urandom(100))[:60])),
        {},
        Reason.BODY_READ_ERROR,
    ),
    "deflate and what a script says after it": (
        says(compressed("deflate", zlib.compress(b"hello") + b"\n\n")),
        HELLO,
        None,
    ),
    "raw deflate and what a script says after it": (says(compressed("deflate", RAW_DEFLATE + b"\n\n")), HELLO, None),
    "gzip twice": (in_pieces(compressed("gzip, gzip", gzip.compress(gzip.compress(b"hello")))), HELLO, None),
    "deflate and gzip": (says(compressed("deflate, gzip", gzip.compress(zlib.compress(b"hello")))), HELLO, None),
    "gzip and identity": (says(compressed("gzip, identity", gzip.compress(b"hello"))), HELLO, None),
    "gzip twice that breaks off within": (
        says(compressed("gzip, gzip", gzip.compress(gzip.compress(os.urandom(100))[:60]))),
        {},
        Reason.BODY_READ_ERROR,
    ),
    "gzip a hundred times, as it says": (
        says(compressed(", ".join(["gzip"] * 100), b"hello")),
        {"regexp": "world"},
        Reason.BODY_MISMATCH,
    ),
    "gzip twice, and large": (
        says(compressed("gzip, gzip", gzip.compress(gzip.compress(bytes(10_000_000))))),
        HELLO,
        Reason.BODY_TOO_LARGE,
    ),
    # Text
    "a byte order mark before an anchor": (
        typed("application/json", b'\xef\xbb\xbf{"ok":1}'),
        {"regexp": r"^\{"},
        None,
    ),
    "windows-1251 in <meta>": (
        typed("text/html", "<meta charset=windows-1251>Добро".encode("cp1251")),
        {"regexp": "Добро"},
        None,
    ),
    "latin-1 that is windows-1252": (
        typed("text/plain; charset=iso-8859-1", "10 €".encode("cp1252")),
        {"regexp": "10 €"},
        None,
    ),
    "gb2312 that is GBK": (typed("text/html; charset=gb2312", "朱镕基".encode("gbk")), {"regexp": "镕基"}, None),
    "Shift_JIS": (typed("text/html; charset=Shift_JIS", "障害".encode("cp932")), {"regexp": "障害"}, None),
    "KOI8-R": (typed("text/html;charset=koi8-r", "работает".encode("koi8-r")), {"regexp": "работает"}, None),
    "a label that nobody knows, and <meta>": (
        typed("text/html; charset=none", "<meta charset=windows-1251>Добро".encode("cp1251")),
        {"regexp": "Добро"},
        None,
    ),
    "charsets in <meta> that tell nothing": (
        typed(
            "text/html",
            b"<meta name=description content='charset=koi8-r'><meta data-charset=koi8-r><meta charset=none>"
            b"<meta content='text/html; charset=windows-1251' http-equiv=Content-Type>" + "Добро".encode("cp1251"),
        ),
        {"regexp": "Добро"},
        None,
    ),
    "EUC-JP with signs of Microsoft's": (
        typed("text/html; charset=euc-jp", b"\xa1\xc1\xad\xa1"),
        {"regexp": "\uff5e①"},
        None,
    ),
    "ISO-2022-JP": (typed("text/html; charset=iso-2022-jp", b"\x1b$B!A\x1b(B"), {"regexp": "\uff5e"}, None),
    "Shift_JIS with signs of Microsoft's": (
        typed("text/html; charset=shift_jis", "①\uff5e髙".encode("cp932")),
        {"regexp": "①\uff5e髙"},
        None,
    ),
    "EUC-KR that is UHC": (typed("text/html; charset=euc-kr", "뷁".encode("cp949")), {"regexp": "뷁"}, None),
    "GBK with the euro sign and GB18030": (
        typed("text/html; charset=gb2312", b"\x80" + "中".encode("gbk") + "㐀".encode("gb18030")),
        {"regexp": "€中㐀"},
        None,
    ),
    "UTF-16 with a mark": (typed("text/html", "hello €".encode("utf-16")), {"regexp": "hello €"}, None),
    "UTF-16 that only the header tells": (
        typed("text/html; charset=utf-16be", "hello €".encode("utf-16-be")),
        {"regexp": "hello €"},
        None,
    ),
    "a mark against the header": (
        typed("text/html; charset=iso-8859-1", b"\xef\xbb\xbf" + "größe".encode()),
        {"regexp": "größe"},
        None,
    ),
    "a codec of Python's that is no charset": (
        typed("text/html; charset=rot13", b"uryyb"),
        HELLO,
        Reason.BODY_MISMATCH,
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str, probe: Prober, website: RawWebsite) -> None:
    """The verdict and its reason are those of a browser, what is not up says why; none takes far longer than it may."""
    act, fields, reason = ANSWERS[name]
    website.answer(act)
    result = check(probe, website.url, **fields)
    assert result.response_time_s is not None
    assert result.response_time_s < 7.0  # what goes on does that for ten seconds
    assert result.reason == reason, result.error
    assert (result.error is None) == (reason is None)
    assert result.error != ""


@pytest.mark.parametrize(
    "label",
    ["punycode", "idna", "utf_7", "unicode_escape", "raw_unicode_escape", "hex", "zip", "bz2", "base64", "quopri"],
)
def test_a_website_does_not_choose_among_pythons_codecs(label: str) -> None:
    """Some of them take minutes for a page."""
    page_in_it = b"a" * 2_500_000
    began = time.process_time()
    assert to_utf8(page_in_it, f"text/html; charset={label}") == page_in_it
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ("", None)),
        ("text/html", ("text/html", None)),
        ("Text/HTML; Charset=UTF-8", ("text/html", "utf-8")),
        ("text/html;charset='utf-8'", ("text/html", "'utf-8'")),
        ('text/html; charset="utf-8"; x=y', ("text/html", "utf-8")),
        ('text/html; x=";charset=a"; charset=b', ("text/html", "b")),
        ("text/html;charset=gbk, text/html", ("text/html", "gbk")),
        ("text/html;charset=gbk, text/plain", ("text/plain", None)),
        ("text/html;charset=gbk, text/html;charset=utf-8", ("text/html", "utf-8")),
        ("text/html;charset=gbk, */*", ("text/html", "gbk")),
        ("text/html;charset=gbk, nonsense", ("text/html", "gbk")),
    ],
)
def test_a_content_type_is_read_as_fetch_has_it(value: str, expected: tuple[str, str | None]) -> None:
    """Several values are one list; the last valid one counts."""
    assert media_type(value) == expected


LOCATIONS = {
    "spaces": (b"/a b/c?d=e f", b"/a%20b/c?d=e%20f"),
    "a Latin-1 byte": (b"/caf\xe9", b"/caf%E9"),
    "UTF-8": ("/café".encode(), b"/caf%C3%A9"),
    "lower case hexadecimal": (b"/%d0%bf/", b"/%d0%bf/"),
    "an escaped tilde": (b"/%7Euser/", b"/%7Euser/"),
    "a tilde": (b"/~user/", b"/~user/"),
    "a percent sign that begins no escape": (b"/100%", b"/100%"),
    "a signature": (b"/o?sig=a%2fb%3d&x=%7e+", b"/o?sig=a%2fb%3d&x=%7e+"),
    "another host": (b"//127.0.0.1:{port}/x", b"/x"),
    "a scheme in capitals": (b"HTTP://127.0.0.1:{port}/x", b"/x"),
    "backslashes": (b"http:\\\\127.0.0.1:{port}\\x", b"/x"),
    "one slash": (b"http:/x", b"/x"),
    "a query alone": (b"?lang=en", b"/?lang=en"),
    "dots": (b"/a/../x", b"/x"),
    "escaped dots": (b"/a/%2e%2e/x", b"/x"),
    "brackets and bars": (b"/a|b?c=[1]", b"/a|b?c=[1]"),
    "quotes": (b'/a"b?c="d"', b"/a%22b?c=%22d%22"),
    "a fragment": (b"/x#y", b"/x"),
    "credentials": (b"http://user:pw@127.0.0.1:{port}/x", b"/x"),
    "spaces around": (b"  /x  ", b"/x"),
    "a short IPv4 address": (b"http://127.1:{port}/x", b"/x"),
}


@pytest.mark.parametrize("name", LOCATIONS)
def test_a_redirect_is_spelled_as_the_website_spells_it(name: str, probe: Prober, website: RawWebsite) -> None:
    """Only what cannot be sent is encoded: others make a website redirect for ever, or break a signature."""
    location, asked = LOCATIONS[name]

    def act(connection: socket.socket, head: bytes) -> None:
        if head.split()[1] == b"/":
            where = location.replace(b"{port}", str(website.port).encode())
            connection.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + where + b"\r\n\r\n")
        else:
            connection.sendall(page())

    website.answer(act)
    result = check(probe, website.url)
    assert [request.split()[1] for request in website.requests] == [b"/", asked], result.error
    assert (result.status, result.redirects) == (Status.UP, 1)


@pytest.mark.parametrize("path", ["/o?sig=a%2fb%3d&x=%7e", "/%d0%bf/", "/~a/%7Eb", "/a|b", "/100%25"])
def test_a_target_is_asked_for_as_the_user_spelled_it(path: str, probe: Prober, website: RawWebsite) -> None:
    """Its signature holds for this spelling alone."""
    website.answer(says(page()))
    assert check(probe, website.url[:-1] + path).status is Status.UP
    assert website.requests[0].split()[1] == path.encode()


@pytest.mark.parametrize(
    ("authority", "told"),
    [
        ("shop.invalid:80", b"shop.invalid"),
        ("shop.invalid:443", b"shop.invalid:443"),
        ("shop.invalid.", b"shop.invalid."),
        ("shop.invalid.:8080", b"shop.invalid.:8080"),
        ("bücher.invalid", b"xn--bcher-kva.invalid"),
        ("user:pw@shop.invalid", b"shop.invalid"),
    ],
)
def test_a_website_is_told_its_name_as_browsers_tell_it(
    authority: str, told: bytes, probe: Prober, website: RawWebsite
) -> None:
    """With the dot at its end, and without the scheme's own port, which some redirect to for ever."""
    website.answer(says(page()))
    result = check(probe, f"http://{authority}/", connect_to=f"127.0.0.1:{website.port}")
    assert result.status is Status.UP, result.error
    hosts = [line for line in website.requests[0].split(b"\r\n") if line.lower().startswith(b"host:")]
    assert hosts == [b"Host: " + told]


@pytest.mark.parametrize(("status", "path"), [("200 OK", "/"), ("404 No", "/"), ("302 Found", "/x"), ("204 No", "/")])
def test_the_phases_are_the_response_time(
    status: str, path: str, probe: Prober, website: RawWebsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that this process does afterwards counts, and each engine tells of the same phases."""
    end, result_of = Exchange.end, Exchange.result

    def slow_end(exchange: Exchange) -> None:
        time.sleep(0.5)
        end(exchange)

    def slow_result(exchange: Exchange, ending: EndingError | None) -> CheckResult:
        time.sleep(0.5)
        return result_of(exchange, ending)

    monkeypatch.setattr(Exchange, "end", slow_end)
    monkeypatch.setattr(Exchange, "result", slow_result)
    website.answer(says(page(b"a" * 9_000, status=status, headers="Location: http://127.0.0.1:1/\r\n")))
    result = check(probe, website.url[:-1] + path, follow_redirects=False, regexp="(a|aa)+$" if path == "/" else None)
    phases = [result.dns_s, result.connect_s, result.first_byte_s, result.transfer_s]
    assert None not in phases
    assert result.response_time_s is not None
    assert result.response_time_s - sum(phase or 0.0 for phase in phases) < 0.4


@pytest.mark.parametrize(
    "host", ["127.1", "0177.0.0.1", "0x7f.0.0.1", "2130706433", "%31%32%37.0.0.1", "127.0.0.1.", "127.0.0.1"]
)
def test_an_ipv4_address_may_be_spelled_as_browsers_take_it(host: str, probe: Prober, website: RawWebsite) -> None:
    """No resolver is asked for it."""
    website.answer(says(page()))
    result = check(probe, f"http://{host}:{website.port}/")
    assert (result.status, result.remote_address) == (Status.UP, "127.0.0.1"), result.error
    assert f"Host: 127.0.0.1:{website.port}".encode() in website.requests[0]


@pytest.mark.parametrize("engine", concrete_engines())
def test_no_proxy_of_the_environment_is_asked(
    engine: EngineName, website: RawWebsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is on the website as it is reached from here."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    website.answer(says(page()))
    assert check(Prober(engine), website.url).error is None


@pytest.mark.parametrize("engine", concrete_engines())
@pytest.mark.parametrize("label", ["punycode", "unicode_escape", "utf-16"])
def test_a_page_in_an_odd_encoding_holds_up_no_other_check(label: str, engine: EngineName, website: RawWebsite) -> None:
    """The verdict on it comes in its time, and those on others in theirs."""
    website.answer(typed(f"text/html; charset={label}", b"a" * 2_500_000))
    other = type(website)()
    other.answer(says(page()))
    probe = Prober(engine, max_body=Size(1 << 22))
    began = time.process_time()
    assert check(probe, website.url, regexp="hello").reason is Reason.BODY_MISMATCH
    assert check(probe, other.url, regexp="hello").error is None
    assert time.process_time() - began < 10  # in Python's codecs it would be minutes
    other.close()


@pytest.mark.parametrize(("second", "reason"), [("/next", None), ("/other", Reason.REDIRECT_ERROR)])
def test_two_locations(second: str, reason: Reason | None, probe: Prober, website: RawWebsite) -> None:
    """Equal ones are one; of two that differ, no browser follows either."""

    def act(connection: socket.socket, head: bytes) -> None:
        first = head.split()[1] == b"/"
        headers = f"Location: /next\r\nLocation: {second}\r\n" if first else ""
        connection.sendall(page(status="302 Found" if first else "200 OK", headers=headers))

    website.answer(act)
    assert check(probe, website.url).reason == reason


@pytest.mark.parametrize(
    ("status", "kept"),
    [("307 Temporary", True), ("308 Permanent", True), ("302 Found", False), ("303 See Other", False)],
)
def test_a_body_and_what_tells_of_it_go_together(status: str, kept: bool, probe: Prober, website: RawWebsite) -> None:
    """Through a redirect to another port, too."""
    other = type(website)()
    other.answer(says(page()))
    website.answer(says(page(status=status, headers=f"Location: {other.url}\r\n")))
    result = check(probe, website.url, method="POST", body="{}", headers={"Content-Type": "application/json"})
    other.close()
    assert result.status is Status.UP, result.error
    (request,) = other.requests
    assert request.startswith(b"POST" if kept else b"GET")
    assert (b"application/json" in request) == kept
    assert (b"Content-Length: 2" in request) == kept


def test_a_header_that_the_target_calls_secret_stays_with_its_host(probe: Prober, website: RawWebsite) -> None:
    """Its name alone would not tell; through two hops, of which the last leads to another host."""
    elsewhere = f"http://localhost:{website.port}/there"

    def act(connection: socket.socket, head: bytes) -> None:
        location = {b"/": "/again", b"/again": elsewhere}.get(head.split()[1])
        fields = f"Location: {location}\r\n" if location else ""
        connection.sendall(page(status="302 Found" if location else "200 OK", headers=fields))

    website.answer(act)
    headers = {"X-Customer": "hunter2", "X-Other": "seen"}
    result = check(probe, website.url, headers=headers, secret_headers=["x-cUSTOMER", "X-None"])
    assert (result.status, result.redirects) == (Status.UP, 2), result.error
    assert [b"hunter2" in request for request in website.requests] == [True, True, False]
    assert all(b"seen" in request for request in website.requests)


COOKIES = {
    "plain": (["sid=1; Path=/; HttpOnly"], "sid=1"),
    "of a domain that is an address": (["sid=1; Domain=127.0.0.1"], "sid=1"),
    "of another domain": (["sid=1; Domain=example.org"], None),
    "of a path that is not asked for": (["sid=1; Path=/x"], None),
    "for TLS alone": (["sid=1; Secure"], None),
    "that is over": (["sid=1; Max-Age=0"], None),
    "that was over long ago": (["sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], None),
    "with an odd date": (["sid=1; expires=Thu, 31 Dec 2099 23:59:59 +0000"], "sid=1"),
    "two, one with a comma": (["a=1; expires=Fri, 31 Dec 2099 23:59:59 GMT", "sid=1"], "a=1; sid=1"),
    "deleted in the same answer": (["sid=1", "sid=; Max-Age=-1"], None),
    "set again": (["sid=1", "sid=2"], "sid=2"),
    "without a name": (["token"], "token"),
    "with an empty name": (["=token"], "token"),
    "JSON": (['sid={"a":1,"b":"x y"}'], 'sid={"a":1,"b":"x y"}'),
    "in UTF-8": (["sid=\xc3\xa9"], "sid=\xc3\xa9"),
    "nothing": (["", ";", "="], None),
}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("name", COOKIES)
def test_cookies_on_the_way(name: str, host: str, probe: Prober, website: RawWebsite) -> None:
    """Those that belong to the next request go along, on one line with the target's own (RFC 6265bis)."""
    set_cookies, sent = COOKIES[name]
    if host == "localhost" and "address" in name:
        sent = None

    def act(connection: socket.socket, head: bytes) -> None:
        if head.split()[1] == b"/":
            lines = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in set_cookies)
            connection.sendall(page(status="302 Found", headers=f"Location: /next\r\n{lines}"))
        else:
            connection.sendall(page())

    website.answer(act)
    url = website.url.replace("127.0.0.1", host)
    assert check(probe, url).status is Status.UP
    assert check(probe, url, headers={"Cookie": "own=yes"}).status is Status.UP
    cookies = [
        [line[8:].decode("latin-1") for line in request.split(b"\r\n") if line.startswith(b"Cookie: ")]
        for request in website.requests
    ]
    assert cookies == [[], [sent] if sent else [], ["own=yes"], [f"own=yes; {sent}" if sent else "own=yes"]]


def test_cookies_of_a_domain_reach_its_hosts_and_no_others() -> None:
    """A host may set them for itself or for a domain that it is in."""
    jar = Cookies()
    set_by = Request("GET", "http://www.shop.example/", ())
    jar.learn(set_by, ["a=1; Domain=.shop.example", "b=2", "c=3; Domain=other.example"])
    sent = {
        host: dict(jar.sent_with(Request("GET", f"http://{host}/", ())).headers).get("Cookie")
        for host in ("www.shop.example", "shop.example", "api.shop.example", "badshop.example", "other.example")
    }
    assert sent == {
        "www.shop.example": "a=1; b=2",
        "shop.example": "a=1",
        "api.shop.example": "a=1",
        "badshop.example": None,
        "other.example": None,
    }


def test_a_large_body_is_at_least_so_large(probe: Prober, website: RawWebsite) -> None:
    """One more byte than the limit stands for all that was left; what broke off counts what came."""
    website.answer(says(page(b"x" * (3 * MAX_BODY))))
    assert check(probe, website.url).body_bytes == MAX_BODY + 1
    other = type(website)()
    other.answer(says(OK + b"Content-Length: 50\r\n\r\nhello"))
    result = check(probe, other.url)
    other.close()
    assert (result.reason, result.body_bytes) == (Reason.BODY_READ_ERROR, 5)


def test_a_body_that_grows_without_end_is_held_in_bounds() -> None:
    """The limit holds for what is decompressed, in whatever pieces it comes."""
    body = Body(1_000, "gzip")
    content = gzip.compress(b"x" * 1_000_000)
    for at in range(0, len(content), 7):
        body.feed(content[at : at + 7])
    assert (body.cut, body.size, len(body.finish())) == (True, 1_001, 1_000)


@pytest.mark.parametrize("engine", concrete_engines())
def test_a_timeout_names_what_the_check_was_at(engine: EngineName, website: RawWebsite) -> None:
    """So that a person knows where to look."""
    probe = Prober(engine)
    for answer, phase in [
        (b"", "waiting for the answer"),
        (b"HTTP/1.1 200 OK\r\nX", "reading the headers"),
        (OK + b"Content-Length: 9\r\n\r\nhi", "reading the body"),
    ]:
        site = type(website)()
        site.answer(holds(answer))
        result = check(probe, site.url, timeout_s=0.3)
        site.close()
        assert (result.reason, result.error) == (Reason.TIMEOUT, f"not finished within 0.3 s: {phase}")


@pytest.mark.parametrize("engine", concrete_engines())
def test_the_first_byte_is_that_of_the_final_head(engine: EngineName, website: RawWebsite) -> None:
    """An informational answer is not the answer, and half a head is no head."""

    def slowly(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        time.sleep(0.2)
        connection.sendall(OK)
        time.sleep(0.2)
        connection.sendall(b"Content-Length: 5\r\n\r\n")
        time.sleep(1.0)
        connection.sendall(b"hello")

    website.answer(slowly)
    result = check(Prober(engine), website.url)
    assert result.first_byte_s is not None
    assert result.first_byte_s >= 0.4
    # The body is no part of it.
    assert result.transfer_s is not None
    assert result.transfer_s >= 0.5


def test_what_must_not_be_in_the_body(probe: Prober, website: RawWebsite) -> None:
    """Beside what must be there, or alone; also in a body that is larger than what is read."""
    website.answer(says(page(b"hello, error" + b"x" * (2 * MAX_BODY))))
    for fields, reason in [
        ({"forbidden_regexp": "error"}, Reason.BODY_MISMATCH),
        ({"forbidden_regexp": "Error"}, None),
        ({"forbidden_regexp": "(?i)ERROR", "regexp": "hello"}, Reason.BODY_MISMATCH),
        ({"forbidden_regexp": "x{50}y", "regexp": "hello"}, None),
    ]:
        result = check(probe, website.url, **fields)
        assert result.reason == reason, (fields, result.error)


SEVERAL: dict[str, tuple[dict[str, Any], str | None]] = {
    "all match": ({"regexp": "hello", "further_regexps": ["world", "^hello"]}, None),
    "without a first one": ({"further_regexps": ["world"]}, None),
    "the last one does not": (
        {"regexp": "hello", "further_regexps": ["world", "bye"]},
        "the regular expression does not match: bye",
    ),
    "the first one does not": (
        {"regexp": "bye", "further_regexps": ["world"]},
        "the regular expression does not match: bye",
    ),
    "none that must not": ({"forbidden_regexp": "bye", "further_forbidden_regexps": ["error"]}, None),
    "one that must not": (
        {"forbidden_regexp": "bye", "further_forbidden_regexps": ["error", "wor.d"]},
        "the regular expression that must not match does: wor.d",
    ),
    "both ways": (
        {"further_regexps": ["hello"], "further_forbidden_regexps": ["hello"]},
        "the regular expression that must not match does: hello",
    ),
    "long": ({"regexp": "x" * 1_000}, f"the regular expression does not match: {'x' * 99}…"),
    "with odd characters": ({"regexp": "b\r\n\te"}, "the regular expression does not match: b e"),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_regular_expressions(name: str, probe: Prober, website: RawWebsite) -> None:
    """All of some must match, and none of others; the error says which one was wrong."""
    fields, error = SEVERAL[name]
    website.answer(says(page(b"hello world")))
    result = check(probe, website.url, **fields)
    assert (result.error, result.reason) == (error, Reason.BODY_MISMATCH if error else None)


def test_many_hostile_regular_expressions_end_soon(probe: Prober, website: RawWebsite) -> None:
    """Each takes time in proportion to the body, whatever it is."""
    website.answer(says(page(b"a" * MAX_BODY)))
    patterns = [f"(a*)*{letter}|(a|a)*{letter}|(.*.*)*{letter}" for letter in "bcdefghijklmnopqrstu"]
    began = time.process_time()
    result = check(probe, website.url, further_forbidden_regexps=patterns)
    assert result.status is Status.UP, result.error
    assert time.process_time() - began < 20  # with an engine that goes back, it would not end at all


HEADERS: dict[str, tuple[dict[str, str], str | None]] = {
    "there": ({"content-type": "^text/html(;|$)"}, None),
    "in any case": ({"CONTENT-TYPE": "html"}, None),
    "of several values one": ({"X-Twice": "^second$"}, None),
    "all of them": ({"Content-Type": "html", "X-Twice": "first"}, None),
    "in bytes": ({"X-Odd": "gr\u00fc\u00df"}, None),
    "empty": ({"X-Empty": "^$"}, None),
    "another value": ({"Content-Type": "^json"}, "the header content-type does not match ^json"),
    "not over values": ({"X-Twice": "first, second"}, "the header x-twice does not match first, second"),
    "missing": ({"Content-Type": "html", "X-None": ""}, "the answer has no header x-none"),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_must_match(name: str, method: str, probe: Prober, website: RawWebsite) -> None:
    """Of the last answer alone; the value is not told, as it may be a secret."""
    expected, error = HEADERS[name]
    fields = "Content-Type: text/html; charset=utf-8\r\nX-Twice: first\r\nX-Twice: second\r\nX-Empty:\r\n"
    fields += "X-Odd: gr\xc3\xbc\xc3\x9f\r\n"

    def act(connection: socket.socket, head: bytes) -> None:
        if head.split()[1] == b"/":
            connection.sendall(page(b"", status="302 Found", headers="Location: /there\r\n"))
        else:
            connection.sendall(page(b"hello" if head.startswith(b"GET") else b"", headers=fields))

    website.answer(act)
    result = check(probe, website.url, expected_headers=expected, method=method)
    assert (result.error, result.reason) == (error, Reason.BODY_MISMATCH if error else None)


def test_a_redirect_that_is_not_followed_is_judged_by_its_headers(probe: Prober, website: RawWebsite) -> None:
    """As any other last answer."""
    website.answer(says(page(status="301 Moved", headers="Location: https://www.example.org/\r\n")))
    fields: dict[str, Any] = {"expected_status": "301", "follow_redirects": False}
    found = {"Location": r"^https://www\.example\.org/$"}
    assert check(probe, website.url, **fields, expected_headers=found).error is None
    assert check(probe, website.url, **fields, expected_headers={"Location": "^/"}).reason is Reason.BODY_MISMATCH


JSON = b'{"status": "ok", "n": 3, "on": true, "none": null, "list": [{"up": true}, {"up": true}], "half": 0.5}'
TOO_MANY = "the JSON paths look at more than 100000 values of the body"
NOT_JSON = "the body is not JSON"
TOO_DEEP = "the JSON of the body is nested too deeply"
# A body, the values that are expected at paths, and the error, if any.
IN_JSON: dict[str, tuple[bytes, dict[str, Any], str | None]] = {
    "a text": (JSON, {"$.status": "ok"}, None),
    "a number, written in another way": (JSON, {"$.n": 3.0, "$.half": 5e-1}, None),
    "true, and null": (JSON, {"$.on": True, "$.none": None}, None),
    "all of several": (JSON, {"$.list[*].up": True}, None),
    "an array": (JSON, {"$.list": [{"up": True}, {"up": True}]}, None),
    "a condition": (JSON, {"$.list[?@.up==true].up": True}, None),
    "a byte order mark": (b"\xef\xbb\xbf" + JSON, {"$.n": 3}, None),
    "UTF-16": (JSON.decode().encode("utf-16"), {"$.n": 3}, None),
    "the whole": (b"3", {"$": 3}, None),
    "a text that is not Unicode": (b'{"a": "\xff\\ud800", "b": 1}', {"$.b": 1}, None),
    "another text": (JSON, {"$.status": "fine"}, 'the JSON path $.status leads to another text, expected "fine"'),
    "another number": (JSON, {"$.n": 4}, "the JSON path $.n leads to 3, expected 4"),
    "1 is not true": (b'{"n": 1}', {"$.n": True}, "the JSON path $.n leads to 1, expected true"),
    "false is not 0": (b"[[false]]", {"$": [[0]]}, "the JSON path $ leads to an array of 1, expected [[0]]"),
    "a text is no number": (b'{"n": "3"}', {"$.n": 3}, "the JSON path $.n leads to another text, expected 3"),
    "an object": (JSON, {"$": "ok"}, 'the JSON path $ leads to an object of 6, expected "ok"'),
    "one of several": (b"[1, 1, 2]", {"$[*]": 1}, "the JSON path $[*] leads to 2, expected 1"),
    "nothing there": (JSON, {"$.n": 3, "$.state": None}, "the JSON path $.state leads to nothing"),
    "no JSON": (b"<p>hello</p>", {"$": None}, NOT_JSON),
    "no body": (b"", {"$": None}, NOT_JSON),
    "more after it": (b'{"n": 3} {}', {"$.n": 3}, NOT_JSON),
    "NaN": (b'{"n": NaN}', {"$.n": 3}, NOT_JSON),
    "thousands of digits": (b"[" + b"9" * 6_000 + b"]", {"$[0]": 9}, NOT_JSON),
    "deep": (b"[" * 4_900 + b"]" * 4_900, {"$[0]": 1}, TOO_DEEP),
    "deep, and more than Python takes": (b"[" * 300 + b"]" * 300, {"$..a": 1}, TOO_DEEP),
    "many times over": (b"[" * 80 + b"]" * 80, {"$" + "..*" * 50 + "..b": 1}, TOO_MANY),
}


@pytest.mark.parametrize("name", IN_JSON)
def test_values_in_json(name: str, probe: Prober, website: RawWebsite) -> None:
    """All that a path finds is the value, and it finds something; an error tells no text of the body."""
    body, expected, error = IN_JSON[name]
    website.answer(says(page(body)))
    result = check(probe, website.url, expected_json=expected)
    reason = Reason.BODY_TOO_LARGE if error == TOO_MANY else Reason.BODY_MISMATCH
    assert (result.error, result.reason) == (error, reason if error else None)


@pytest.mark.parametrize("engine", concrete_engines())
def test_json_of_too_many_values_is_not_looked_into(engine: EngineName, website: RawWebsite) -> None:
    """Nor one that is larger than what is read."""
    website.answer(says(page(b"[" + b"1," * 150_000 + b"1]")))
    result = check(Prober(engine, max_body=Size(1 << 20)), website.url, expected_json={"$[0]": 1})
    assert result.error == "the JSON of the body has more than 100000 values"
    assert result.reason is Reason.BODY_TOO_LARGE
    assert check(Prober(engine), website.url, expected_json={"$[0]": 1}).error == "the body is larger than 10000 bytes"


@pytest.mark.parametrize("engine", concrete_engines())
def test_a_body_in_which_a_value_is_not_found_is_kept(engine: EngineName, website: RawWebsite) -> None:
    """As one in which a regular expression is not found."""
    website.answer(says(page(JSON)))
    keeping = Prober(engine, body_excerpt=Size(12))
    assert check(keeping, website.url, expected_json={"$.n": 4}).body_excerpt == '{"status": "'
    assert check(keeping, website.url, expected_json={"$.n": 3}).body_excerpt is None


@pytest.mark.parametrize(
    ("url", "place", "told"),
    [
        ("http://127.0.0.9/", None, "127.0.0.9:80"),
        ("https://127.0.0.9/", None, "127.0.0.9:443"),
        ("http://127.0.0.1:1/", None, "127.0.0.1:1"),
        ("http://shop.invalid/", "127.0.0.1:1", "127.0.0.1:1"),
        ("https://shop.invalid/", "127.0.0.9", "127.0.0.9:443"),
    ],
)
def test_where_nothing_could_be_connected_to_is_told(url: str, place: str | None, told: str, probe: Prober) -> None:
    """The host and the port that were tried, not those of the URL, where these differ."""
    result = check(probe, url, connect_to=place)
    assert result.error == f"{told}: Connection refused"


def test_an_origin_is_reached_under_the_name_of_its_website(probe: Prober, website: RawWebsite) -> None:
    """Past whatever its name leads to; a redirect to another host goes where that host is."""
    other = type(website)()
    other.answer(says(page(b"other")))

    def act(connection: socket.socket, head: bytes) -> None:
        if head.split()[1] == b"/away":
            connection.sendall(page(status="302 Found", headers=f"Location: {other.url}\r\n"))
        elif head.split()[1] == b"/back":
            connection.sendall(page(status="302 Found", headers="Location: /\r\n"))
        else:
            connection.sendall(page())

    website.answer(act)
    for place in (f"127.0.0.1:{website.port}", f"localhost:{website.port}"):
        for path, found in [("/", "hello"), ("/back", "hello"), ("/away", "other")]:
            result = check(probe, f"http://shop.invalid{path}", connect_to=place, regexp=found)
            assert (result.status, result.error) == (Status.UP, None)
    other.close()
    assert all(b"\r\nHost: shop.invalid\r\n" in request for request in website.requests)
    result = check(probe, f"http://shop.invalid:{website.port}/", connect_to="127.0.0.1")
    assert result.status is Status.UP, result.error


@pytest.mark.parametrize(
    ("family", "address", "error"),
    [("ipv4", "127.0.0.1", None), ("ipv6", None, "127.0.0.1: the name has no address of IPv6")],
)
def test_a_family_that_is_wanted(
    family: str, address: str | None, error: str | None, probe: Prober, website: RawWebsite
) -> None:
    """The other one's addresses are not tried."""
    website.answer(says(page()))
    result = check(probe, website.url, address_family=family)
    assert (result.remote_address, result.error) == (address, error)
