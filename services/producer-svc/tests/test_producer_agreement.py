"""Both engines say the same of any answer, in time and without an error of their own.

`hatch run agreement` tries 200,000 answers; FUZZ_ANSWERS says how many else. What fails is printed with its seed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.config.values import Size
from monitoring_core.result import CheckResult, Reason
from monitoring_core.targets import TargetRecord
from monitoring_testkit.producer.engines import needs_native
from monitoring_testkit.producer.probing import DEFAULTS, MAX_BODY
from producer_svc.check import Check, Origin
from producer_svc.checks.kinds import build_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from producer_svc.ports import Engine

pytestmark = [pytest.mark.integration_test, needs_native]

TOGETHER = 25
ANSWERS = int(os.environ.get("FUZZ_ANSWERS", "2500"))
BODY = b"<meta charset=koi8-r>hello"
GZIP = zlib.compress(BODY, wbits=31)


def joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(*parts).map(b"".join)


def some(*choices: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from(choices)


def mostly(usual: bytes, *odd: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from([usual] * 6 * len(odd) + list(odd))


ends = mostly(b"\r\n", b"\n", b"\r\r\n", b" \r\n", b"\r")
status_lines = joined(
    mostly(b"", b"\r\n", b"\n\n", b" "),
    mostly(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b"HTTP/1", b"HTTP/", b"HTTP", b"ICY", b"HTTP/1.1.1"),
    mostly(b" ", b"  ", b"\t", b""),
    some(
        *[b"200"] * 30, b"204", b"304", b"302", b"302", b"404", b"999", b"100", b"101", b"103", b"099", b"20", b"2000"
    ),
    mostly(b" OK", b"", b" ", b"\tOK", b"OK", b" \xe9\0"),
    ends,
)
lengths = some(*[b"26"] * 4, b"0", b"5", b"27", b"+26", b"26, 26", b"26, 27", b"-1", b"0x1a", b"9" * 20, b"")
codings = some(*[b"chunked"] * 4, b"Chunked", b"gzip", b"gzip, chunked", b"chunked, gzip", b"identity", b"deflate", b"")
others = some(b"a", b"a\rb", b"a\0b", b"\xff\xfe", b"", b" ", b"/next", b"http://[", b"//", b"a=b; Path=/", b"a: b")
types = some(b"text/html; charset=utf-16", b"text/event-stream", b"text/html", b"a/b;charset=utf-8, c/d", b";")
colons = mostly(b": ", b":", b" : ", b"")
fields = st.one_of(
    joined(mostly(b"Content-Length", b"content-LENGTH ", b" Content-Length"), colons, lengths, ends),
    joined(mostly(b"Transfer-Encoding", b"transfer-encoding\t"), colons, codings, ends),
    joined(some(b"Content-Encoding"), colons, some(b"gzip", b"x-gzip", b"deflate", b"br", b"gzip, gzip", b""), ends),
    joined(some(b"Content-Type"), colons, types, ends),
    joined(some(b"Location", b"Set-Cookie", b"X", b"X Y", b"\xe9", b"", b" X", b"\tX"), colons, others, ends),
)
heads = joined(status_lines, st.lists(fields, max_size=3).map(b"".join), mostly(b"\r\n", b"\n", b""))
bodies = some(
    b"",
    BODY,
    BODY,
    BODY[:9],
    GZIP,
    GZIP[:-3],
    GZIP[:9],
    b"\x1f",
    b"1a\r\n" + BODY + b"\r\n0\r\n\r\n",
    b"1A;x\n" + BODY + b"\n0\n\n",
    b"1a\r\n" + BODY + b"\r\n0\r\nX: y\r\n\r\n",
    b"1a\r\n" + BODY + b"\r\n0\r\n",
    b"1a\r\n" + BODY,
    b"5\r\nhello",
    b"zz\r\n",
    b"0\r\n\r\n",
    b"-1\r\n\r\n",
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(GZIP), GZIP),
    b"x" * (MAX_BODY + 1),
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Heads and bodies that are nearly right, with a byte changed or the end cut off now and then; or any bytes."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=60))
    answer = draw(joined(heads, bodies) if kind > 1 else joined(heads, heads, bodies))
    if kind == 2 and answer:
        at = draw(st.integers(0, len(answer) - 1))
        return answer[:at] + bytes([draw(st.integers(0, 255))]) + answer[at + 1 :]
    if kind == 3:
        return answer[: draw(st.integers(0, len(answer)))]
    return answer


class Website:
    """Answers a path that is a number with the answer of that number, any other one with a page."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        self.answers: Sequence[bytes] = []
        for _ in range(8):
            threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    _, _, rest = connection.recv(65536).partition(b" /")
                    path = rest.partition(b" ")[0]
                    known = path.isdigit() and int(path) < len(self.answers)
                    connection.sendall(self.answers[int(path)] if known else b"HTTP/1.1 200 OK\r\n\r\nhello")
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(1)


@pytest.fixture(scope="module")
def numbered() -> Iterator[Website]:
    website = Website()
    yield website
    website.close()


@pytest.fixture(scope="module")
def engines() -> list[Engine]:
    return [
        build_engine(MonitorConfig(engine=name, max_per_host=1_000, max_body=Size(MAX_BODY), max_redirects=3))
        for name in (EngineName.REQUESTS, EngineName.NATIVE)
    ]


def checked(engine: Engine, website: Website) -> list[CheckResult]:
    """The results of all answers, in their order; once more when the machine stood still, which both engines tell."""
    for _ in range(3):
        results = checked_once(engine, website)
        if not any("stood still" in (result.error or "") for result in results):
            break
    return results


def checked_once(engine: Engine, website: Website) -> list[CheckResult]:
    for number in range(len(website.answers)):
        fields = {
            "id": number + 1,
            "url": f"http://127.0.0.1:{website.port}/{number}",
            "regexp": "hello" if number % 2 else None,
        }
        target = TargetRecord.parse({key: value for key, value in fields.items() if value is not None}).resolve(
            DEFAULTS
        )
        engine.submit(Check(target, number, time.monotonic()), Origin(1, "here"))
    until, results = time.monotonic() + 3 * DEFAULTS.timeout_s, list[CheckResult]()
    while len(results) < len(website.answers) and time.monotonic() < until:
        results += engine.drain_finished(0.1)
    return sorted(results, key=lambda result: result.target_id)


@settings(
    max_examples=max(1, ANSWERS // TOGETHER),
    deadline=None,
    # The same answers each time in the suite, others in each longer run.
    derandomize="FUZZ_ANSWERS" not in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(answers(), min_size=TOGETHER, max_size=TOGETHER))
def test_any_answer_means_the_same_to_both_engines(
    numbered: Website, engines: list[Engine], responses: list[bytes]
) -> None:
    """Verdict, reason, status, size and match; no error is the engine's own, and none is empty."""
    numbered.answers = responses
    one, other = (checked(engine, numbered) for engine in engines)
    assert len(one) == len(other) == len(responses)
    for answer, *both in zip(responses, one, other, strict=True):
        shown = [(r.status, r.reason, r.http_status, r.body_bytes, r.regexp_matched) for r in both]
        assert shown[0] == shown[1], (answer, [result.error for result in both])
        for result in both:
            assert result.reason is not Reason.PROBER_ERROR, (answer, result.error)
            assert (result.reason is None) == (result.error is None), answer
            assert result.error != "", answer
            assert (result.response_time_s or 0.0) < 1.5 * DEFAULTS.timeout_s
