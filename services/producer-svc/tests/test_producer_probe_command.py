"""`producer-svc probe`: what it prints, and how it ends."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from monitoring_core.clock import from_ms
from monitoring_core.codec import decode
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_testkit.producer.engines import concrete_engines
from producer_svc.cli import main
from producer_svc.commands.explanation import waterfall

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring_testkit.websites import RawWebsite

    Act = Callable[[socket.socket, bytes], None]

ENGINES = pytest.mark.parametrize("engine", concrete_engines())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["probe", *map(str, arguments)])


def hello(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def broken(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


@ENGINES
def test_up_ends_with_0_and_shows_every_phase(website: RawWebsite, engine: str) -> None:
    """The verdict, the facts and a waterfall with milliseconds."""
    website.answer(hello)
    ended = run(website.url, "--engine", engine)
    assert ended.exit_code == 0, ended.output
    lines = ended.output.splitlines()
    assert lines[0] == f"{website.url} is up"
    assert re.search(
        r"HTTP status +200\n +address +127\.0\.0\.1\n +protocols +HTTP/1\.1\n +body +5 bytes\n", ended.output
    )
    for phase in ("connect", "first byte", "transfer", "total"):
        assert re.search(rf"^  {phase} +\d+\.\d ms", ended.output, re.MULTILINE), ended.output
    assert "reason" not in ended.output


@ENGINES
def test_down_ends_with_1_and_says_why(website: RawWebsite, engine: str) -> None:
    """The reason is shown with its meaning and the details."""
    website.answer(broken)
    ended = run(website.url, "--engine", engine)
    assert ended.exit_code == 1
    assert ended.output.startswith(f"{website.url} is down\n")
    assert "status_mismatch: the website answered with a status that is not expected" in ended.output
    assert "status 503, expected 200-299" in ended.output


@ENGINES
@pytest.mark.parametrize(("answer", "reason"), [(hello, None), (broken, "status_mismatch")])
def test_json_is_one_object_with_the_fields_of_a_result(
    website: RawWebsite, engine: str, answer: Act, reason: str | None
) -> None:
    """It can be read as a result, and the reason is null exactly when the website is up."""
    website.answer(answer)
    ended = run(website.url, "--engine", engine, "--json")
    content = json.loads(ended.stdout)
    assert (content["reason"], content["status"]) == (reason, "down" if reason else "up")
    assert decode(ended.stdout.encode()).http_status == content["http_status"]
    assert ended.exit_code == (1 if reason else 0)
    assert ended.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ftp://example.com/"], "url: must begin with http:// or https://"),
        (["example.com"], "url: must begin with http:// or https://"),
        (["http://"], "url: has no host"),
        (["http://[::1/"], "url: is not a URL"),
        (["http://example.com:0/"], "url: has port 0"),
        (["http://a b/"], "url: holds a space"),
        (["http://*.example.com/"], "url: http://*.example.com/ cannot be requested"),
        ([""], "url: "),
        (["http://127.0.0.1/", "--regexp", "(a"], "regexp: is not a regular expression that RE2 takes"),
        (["http://127.0.0.1/", "--expected-json", "$[", "1"], "expected_json: '$[' is not a JSON path (RFC 9535)"),
        (["http://127.0.0.1/", "--expected-header", "hunter2"], "--expected-header: must be NAME:VALUE"),
        (["http://127.0.0.1/", *["--expected-json", "$.a", "1"] * 2], "--expected-json: '$.a' is given more than once"),
        (["http://127.0.0.1/", "--regexp", r"(a)\1"], "regexp: is not a regular expression that RE2 takes"),
    ],
)
def test_what_cannot_be_checked_ends_with_2_and_one_line(arguments: list[str], words: str) -> None:
    """Nothing is printed as a result, not even with --json."""
    ended = run(*arguments, "--json")
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"Error: {words}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[" * 100_000, "line 2: must be a JSON object"),
        (
            '{"id": 2, "url": "http://127.0.0.1/", "expected_json": {"$": ' + "[" * 9_000 + "]" * 9_000 + "}}",
            "line 2: ",
        ),
        ("7", "line 2: must be a JSON object"),
        ("{}", "line 2: object missing required field url"),
        ('{"id": 2, "url": "http://127.0.0.1/", "further_regexps": "a"}', "line 2: further_regexps: must be a list"),
        ('{"id": 2, "url": "http://127.0.0.1/", "secret_headers": ["a\\r\\nb"]}', "line 2: secret_headers: "),
    ],
    ids=["deep", "deep in a field", "a number", "empty", "not a list", "a line break in a name"],
)
def test_a_bad_line_of_the_stream_ends_with_2_and_one_line(line: str, words: str) -> None:
    """Before any website is asked."""
    lines = '{"id": 1, "url": "http://127.0.0.1/"}\n' + line + "\n"
    ended = CliRunner().invoke(main, ["probe", "-"], input=lines)
    assert (ended.exit_code, ended.stdout) == (2, ""), ended.exception
    assert ended.stderr.startswith(f"Error: {words}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("timeout", ["0s", "-1s", "301s", "soon", "5", "nan"])
def test_a_timeout_that_is_none_is_refused(timeout: str) -> None:
    """A timeout is a duration with its unit, as everywhere, and bounded as for a target."""
    assert run("http://127.0.0.1/", "--timeout", timeout).exit_code == 2


@ENGINES
@pytest.mark.parametrize(("regexp", "status"), [("^hel+o$", 0), ("goodbye", 1)])
def test_the_regexp_decides(website: RawWebsite, engine: str, regexp: str, status: int) -> None:
    """It is searched in the body."""
    website.answer(hello)
    ended = run(website.url, "--engine", engine, "--regexp", regexp)
    assert ended.exit_code == status
    assert f"regexp       {'does not match' if status else 'matches'}" in ended.output


FOUND = ["--regexp", "hel", "--forbidden-regexp", "bye", "--expected-header", "Content-Length: ^5$"]


@ENGINES
@pytest.mark.parametrize(
    ("options", "error"),
    [
        (FOUND, None),
        ([*FOUND, "--regexp", "world"], "the regular expression does not match: world"),
        ([*FOUND, "--forbidden-regexp", "hello"], "the regular expression that must not match does: hello"),
        ([*FOUND, "--expected-header", "X:a"], "the answer has no header x"),
        (["--expected-json", "$.a", "1"], "the body is not JSON"),
        (["--header", "X-Customer: 7", "--secret-header", "X-Customer"], None),
    ],
)
def test_options_may_be_repeated(website: RawWebsite, engine: str, options: list[str], error: str | None) -> None:
    """Each of the values counts."""
    website.answer(hello)
    ended = run(website.url, "--engine", engine, *options)
    assert ended.exit_code == (1 if error else 0), ended.output
    assert (f"error        {error}" in ended.output) == bool(error), ended.output
    if "--header" in options:
        assert b"X-Customer: 7\r\n" in website.requests[0]


@ENGINES
@pytest.mark.parametrize(
    ("bound", "said"),
    [("0.2", "degraded, which it is above 0.2 s"), ("5", "not degraded, which it is above 5 s")],
)
def test_a_slow_website_is_up_and_degraded(website: RawWebsite, engine: str, bound: str, said: str) -> None:
    """The status does not change; that it is slow is said."""

    def slow(connection: socket.socket, head: bytes) -> None:
        time.sleep(0.3)
        hello(connection, head)

    website.answer(slow)
    ended = run(website.url, "--engine", engine, "--degraded-above", f"{bound}s")
    assert ended.exit_code == 0
    assert f"  speed        {said}\n" in ended.output


@ENGINES
def test_the_timeout_ends_the_check(website: RawWebsite, engine: str) -> None:
    """The time that went into the phase that never ended is shown too."""

    def never(_connection: socket.socket, _head: bytes) -> None:
        website.closing.wait(120)

    website.answer(never)
    began = time.monotonic()
    ended = run(website.url, "--engine", engine, "--timeout", "300ms")
    assert ended.exit_code == 1
    assert time.monotonic() - began < 60
    assert "timeout: the whole answer did not come in time" in ended.output
    assert re.search(r"unfinished +\d+\.\d ms", ended.output), ended.output


@ENGINES
@pytest.mark.parametrize("answer", [hello, broken])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_credentials_are_sent_and_never_printed(website: RawWebsite, engine: str, answer: Act, form: list[str]) -> None:
    """The URL is shown without them."""
    website.answer(answer)
    ended = run(website.url.replace("://", "://joe:s3cret@"), "--engine", engine, *form)
    assert b"Authorization: Basic am9lOnMzY3JldA==" in website.requests[0]
    assert "s3cret" not in ended.output
    assert "joe" not in ended.output


@pytest.mark.parametrize(
    "url",
    [
        "http://joe:s3cret/@host/",
        "http://joe:s3cret@ho\u2100st/",
        "joe:s3cret@host",
        "ftp://joe:s3cret@host/",
        "http://joe:s3cret@*.host/",
    ],
)
def test_credentials_are_not_printed_when_the_url_is_refused(url: str) -> None:
    """This holds even when their place in the URL cannot be found."""
    ended = run(url)
    assert ended.exit_code == 2
    assert "s3cret" not in ended.output


def test_a_bar_begins_where_the_one_before_ended() -> None:
    """Bars are in proportion, and none is too short to be seen."""
    result = CheckResult(
        target_id=1,
        scheduled_at=from_ms(0),
        location="here",
        producer_id=1,
        status=Status.DOWN,
        reason=Reason.TIMEOUT,
        dns_s=0.0,
        connect_s=0.1,
        tls_s=0.2,
        response_time_s=0.4,
    )
    assert list(waterfall(result)) == [
        f"  dns               0.0 ms  |{'█':<40}|",
        f"  connect         100.0 ms  |{'█' * 10:<40}|",
        f"  tls             200.0 ms  |{' ' * 10 + '█' * 20:<40}|",
        f"  unfinished      100.0 ms  |{' ' * 30 + '█' * 10}|",
        "  total           400.0 ms",
    ]


def test_it_runs_as_a_program(website: RawWebsite) -> None:
    """Its standard output is the object and nothing else, and its standard error is empty."""
    website.answer(hello)
    program = [sys.executable, "-c", "from producer_svc.cli import main; main()"]
    ended = subprocess.run([*program, "probe", website.url, "--json"], capture_output=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout)["reason"] is None
