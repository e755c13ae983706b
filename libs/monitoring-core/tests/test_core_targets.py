"""Which targets are accepted, which are refused and with which message, and what is never shown."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets import PLAIN_URL, CheckDefaults, StatusSet, TargetRecord, fields_of_options
from monitoring_core.testing.builders import make_record, make_target
from monitoring_core.testing.strategies import records

URL = "https://example.org/"
PLACE = "must be a host, perhaps with a port, like origin.example.org:8443, got "
STATUS = "expected_status: must be status codes and ranges like 200-299,301, got "
METHOD = "method: must be one of GET, HEAD, POST, got 'PUT'"
NOT_RE2 = "regexp: is not a regular expression that RE2 takes: "
FILE_NAME = "must be the name of a file: letters, digits, dots, dashes or underscores, got "
PERL = "invalid perl operator: (?="
NUL = r"'a\x00' holds a NUL character, which PostgreSQL does not store (write \x00)"
HEADER_VALUE = "headers: the value of X holds a character that no header may hold, or is too long"
DEFAULTS = CheckDefaults(interval_s=60, timeout_s=10, expected_status=StatusSet.parse("200-299"))


def nested(levels: int) -> object:
    value: object = 1
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


GOOD = [
    {},
    {"url": "http://user:password@[::1]:8080/path?q=1#f"},
    {"url": "HTTPS://Example.ORG"},
    {"regexp": "(?i)welcome|hello"},
    {"regexp": ""},
    {"headers": {"Authorization": "Bearer x", "X-Empty": ""}},
    {"check_interval_s": 86_400, "timeout_s": 300},
    {"expected_status": "200-299, 301,404"},
    {"method": "POST", "body": "q=☃"},
    {"forbidden_regexp": "(?i)error", "address_family": "ipv6"},
    {"further_regexps": ["a", "a"], "further_forbidden_regexps": []},
    {"further_forbidden_regexps": ["x" * 1_000] * 20},
    {"expected_headers": {"Content-Type": "^text/html\\b", "x-empty": ""}},
    {"degraded_above_s": 0.5, "timeout_s": 1, "secret_headers": ["X-Customer", "x-other"]},
    {"client_certificate": "shop-7_a.pem"},
    {"expected_json": {"$": None, "$.a['b'][-1]": [1, {"c": 0.5}], "$..x[?@.y == 'z' && match(@.w, 'a.*')]": "☃"}},
    *({"connect_to": place} for place in ("a", "a_b.example.", "192.0.2.7:65535", "::1", "[::1]", "[2001:db8::7]:443")),
    {"regexp": "x" * 1_000, "headers": {"X" * 100: "v" * 4_000}},
    {"method": "POST", "body": "x" * 16_384},
    {"headers": {f"X{i}": "" for i in range(50)}},
    {"method": "HEAD", "follow_redirects": False, "verify_tls": False, "labels": {"team": "a ☃"}},
]

BAD = [
    (
        {"url": 5, "regexp": 1, "timeout_s": 0, "labels": {"a": 1}, "colour": "red"},
        [
            "colour: no such field",
            "url: must be text, got a number",
            "regexp: must be text, got a number",
            "timeout_s: must be more than 0, got 0",
            "labels[...]: must be text, got a number",
        ],
    ),
    ({"active": 1, "method": "PUT"}, ["active: must be true or false, got a number", METHOD]),
    ({"method": 1, "body": "x", "regexp": "("}, ["method: must be text, got a number"]),
    ({"url": ""}, ["url: must not be empty"]),
    ({"url": 5}, ["url: must be text, got a number"]),
    ({"url": "x" * 2_049}, ["url: must have at most 2048 characters"]),
    ({"url": "example.org"}, ["url: must begin with http:// or https://, got 'example.org'"]),
    ({"url": "ftp://me:hunter2@x/"}, ["url: must begin with http:// or https://, got 'ftp://x/'"]),
    ({"url": "http:///path"}, ["url: has no host"]),
    ({"url": "http://a:0/"}, ["url: has port 0"]),
    ({"url": "http://a:99999/"}, ["url: is not a URL: Port out of range 0-65535"]),
    ({"url": "http://[::1/"}, ["url: is not a URL: Invalid IPv6 URL"]),
    ({"url": "http://a/\r\nX: y"}, ["url: holds a space or a control character"]),
    ({"url": "http://a/\ud800"}, ["url: holds a space or a control character"]),
    ({"regexp": r"(a)\1"}, [NOT_RE2 + r"invalid escape sequence: \1"]),
    ({"regexp": "(?=a)"}, [NOT_RE2 + "invalid perl operator: (?="]),
    ({"regexp": "("}, [NOT_RE2 + "missing ): ("]),
    ({"regexp": "\ud800"}, ["regexp: is not valid Unicode"]),
    ({"regexp": "a\0b"}, [r"regexp: holds a NUL character, which PostgreSQL does not store (write \x00)"]),
    ({"headers": {"X": "a\r\nY: b"}}, [HEADER_VALUE]),
    ({"headers": {"X": "a\0"}}, [HEADER_VALUE]),
    ({"headers": {"X": "☃"}}, [HEADER_VALUE]),
    ({"headers": {"X\r\n": "a"}}, [r"headers: 'X\r\n' is not a header name"]),
    ({"headers": {"Host": "a"}}, ["headers: Host is set by the prober"]),
    ({"headers": {f"X{i}": "" for i in range(51)}}, ["headers: at most 50 are allowed, got 51"]),
    ({"headers": [1]}, ["headers: must be an object of values by name, got a list"]),
    ({"check_interval_s": 5, "timeout_s": 5}, ["timeout_s: must be shorter than check_interval_s (5), got 5"]),
    ({"check_interval_s": 0}, ["check_interval_s: must be at least 1, got 0"]),
    ({"check_interval_s": 86_401}, ["check_interval_s: must be at most 86400, got 86401"]),
    ({"timeout_s": 0}, ["timeout_s: must be more than 0, got 0"]),
    ({"timeout_s": float("nan")}, ["timeout_s: must be a number, got nan"]),
    ({"timeout_s": float("inf")}, ["timeout_s: must be at most 300, got inf"]),
    ({"check_interval_s": 1.5}, ["check_interval_s: must be a whole number, got 1.5"]),
    ({"check_interval_s": "60"}, ["check_interval_s: must be a whole number, got '60'"]),
    ({"check_interval_s": True}, ["check_interval_s: must be a whole number, got true"]),
    ({"check_interval_s": [60]}, ["check_interval_s: must be a whole number, got a list"]),
    ({"timeout_s": "9" * 100}, [f"timeout_s: must be a number, got '{'9' * 38}…"]),
    ({"expected_status": ""}, [STATUS + "''"]),
    ({"expected_status": "2xx"}, [STATUS + "'2xx'"]),
    ({"expected_status": "299-200"}, [STATUS + "'299-200'"]),
    ({"expected_status": "1000"}, [STATUS + "'1000'"]),
    ({"expected_status": "099"}, [STATUS + "'099'"]),
    ({"forbidden_regexp": "("}, ["forbidden_regexp: is not a regular expression that RE2 takes: missing ): ("]),
    ({"further_regexps": "a"}, ["further_regexps: must be a list, got text"]),
    ({"further_regexps": [1]}, ["further_regexps[0]: must be text, got a number"]),
    ({"further_regexps": ["a"] * 21}, ["further_regexps: must have at most 20 values"]),
    ({"further_regexps": ["x" * 1_001]}, ["further_regexps[0]: must have at most 1000 characters"]),
    (
        {"further_regexps": ["a", "(", "a\0"]},
        [f"further_regexps: '(' {NOT_RE2[8:]}missing ): (", f"further_regexps: {NUL}"],
    ),
    ({"further_forbidden_regexps": ["(?=a)"]}, [f"further_forbidden_regexps: '(?=a)' {NOT_RE2[8:]}{PERL}"]),
    ({"expected_headers": {"X": 1}}, ["expected_headers[...]: must be text, got a number"]),
    ({"active": "maybe"}, ["active: must be true or false, got text"]),
    ({"client_certificate": {"file": "a"}}, ["client_certificate: must be text, got an object"]),
    ({"further_regexps": [None]}, ["further_regexps[0]: must be text, got null"]),
    ({"expected_headers": {"a b": ""}}, ["expected_headers: 'a b' is not a header name"]),
    ({"expected_headers": {"X": "("}}, [f"expected_headers: X: '(' {NOT_RE2[8:]}missing ): ("]),
    ({"expected_headers": {f"X{i}": "" for i in range(21)}}, ["expected_headers: at most 20 are allowed, got 21"]),
    ({"expected_json": ["$"]}, ["expected_json: must be an object of values by name, got a list"]),
    ({"expected_json": {"$.a": "a\0"}}, ["expected_json: the value of '$.a' must not hold a NUL character"]),
    ({"expected_json": {"$.a": ["\ud800"]}}, ["expected_json: the value of '$.a' must be valid Unicode"]),
    ({"expected_json": {"$.a": float("nan")}}, ["expected_json: the value of '$.a' is not JSON"]),
    ({"expected_json": {"$.a": nested(51)}}, ["expected_json: the value of '$.a' is nested in more than 50 levels"]),
    ({"expected_json": {"$.a": "x" * 4_000}}, ["expected_json: the value of '$.a' is longer than 4000 bytes"]),
    ({"expected_json": {f"$.a{i}": 1 for i in range(21)}}, ["expected_json: at most 20 are allowed, got 21"]),
    ({"expected_json": {"$": 1}, "method": "HEAD"}, ["expected_json: needs a body, which no answer to HEAD has"]),
    ({"degraded_above_s": 2, "timeout_s": 2}, ["degraded_above_s: must be shorter than timeout_s (2), got 2"]),
    ({"degraded_above_s": 0}, ["degraded_above_s: must be more than 0, got 0"]),
    ({"degraded_above_s": 301}, ["degraded_above_s: must be at most 300, got 301"]),
    ({"secret_headers": "X"}, ["secret_headers: must be a list, got text"]),
    ({"secret_headers": ["X", "a b"]}, ["secret_headers: 'a b' is not a header name"]),
    ({"secret_headers": ["X"] * 51}, ["secret_headers: must have at most 50 values"]),
    *(
        ({"client_certificate": bad}, [f"client_certificate: {FILE_NAME}{bad[:100]!r}"])
        for bad in ("", "..", "../a", "/a", "a/b", "a b", ".a", "a\0", "a\n", "\u00e9", "x" * 100 + "y")
    ),
    ({"address_family": "ipv5"}, ["address_family: must be ipv4 or ipv6, got 'ipv5'"]),
    ({"connect_to": ""}, ["connect_to: must not be empty"]),
    *(
        ({"connect_to": bad}, [f"connect_to: {PLACE}{bad!r}"])
        for bad in (
            "a b",
            "http://a/",
            "a:0",
            "a:65536",
            "a:b",
            "[a]:1",
            "[::1",
            "a..b",
            "-a",
            "::1%lo",
            "a\0",
            "é.example",
        )
    ),
    ({"expected_status": "2\u0660\u0660"}, [STATUS + "'2\u0660\u0660'"]),
    ({"method": "get"}, ["method: must be one of GET, HEAD, POST, got 'get'"]),
    ({"id": 0}, ["id: must be at least 1, got 0"]),
    ({"id": 2**63}, ["id: must be at most 9223372036854775807, got 9223372036854775808"]),
    ({"labels": {"a": "\0"}}, ["labels: must not hold a NUL character"]),
    ({"labels": {"a": "\ud800"}}, ["labels: must be valid Unicode"]),
    ({"regexp": "x" * 1_001}, ["regexp: must have at most 1000 characters"]),
    ({"headers": {"X" * 101: ""}}, [f"headers: {'X' * 100!r} is not a header name"]),
    ({"headers": {"X": "v" * 4_001}}, [HEADER_VALUE]),
    ({"body": "x" * 16_385, "method": "POST"}, ["body: must have at most 16384 characters"]),
    ({"body": "a=1"}, ["body: needs method POST"]),
    ({"body": "a\0", "method": "POST"}, ["body: must not hold a NUL character"]),
    ({"colour": 1, "method": "BREW"}, ["colour: no such field", "method: must be one of GET, HEAD, POST, got 'BREW'"]),
]


@pytest.mark.parametrize("fields", GOOD, ids=str)
def test_a_good_target_is_taken(fields: dict[str, object]) -> None:
    """The record holds the values that were given."""
    record = TargetRecord.parse({"url": URL} | fields)
    assert all(getattr(record, name) == value for name, value in fields.items())


@pytest.mark.parametrize(("fields", "problems"), BAD, ids=[ascii(fields)[:60] for fields, _ in BAD])
def test_a_bad_target_is_refused_with_exactly_these_problems(fields: dict[str, object], problems: list[str]) -> None:
    """All problems are reported at once, each with its field."""
    with pytest.raises(InvalidTargetError) as caught:
        TargetRecord.parse({"url": URL} | fields)
    assert caught.value.problems == tuple(problems)


def test_text_from_a_table_file_is_read_as_what_the_field_is() -> None:
    """CSV knows only text."""
    record = TargetRecord.parse({"url": URL, "check_interval_s": "30", "active": "false"}, from_text=True)
    assert (record.check_interval_s, record.active) == (30, False)


ANY_JSON = (5, 0.5, True, "x", ["a", 1], [["a"]], {"a": 1}, {"a": None})
JSON_FIELDS = ("further_regexps", "further_forbidden_regexps", "expected_headers", "expected_json", "secret_headers")


@pytest.mark.parametrize("name", JSON_FIELDS)
@pytest.mark.parametrize("value", ANY_JSON, ids=repr)
def test_a_row_that_holds_other_json_is_a_bad_target(name: str, value: object) -> None:
    """What a table without its constraints may hold is said, and raises nothing."""
    assert all(problem.startswith(f"{name}: ") for problem in make_record(**{name: value}).problems())
    assert make_record(**{name: value}).problems()


def test_the_first_regexp_and_the_further_ones_are_one_list() -> None:
    """For whoever checks, no one of them is apart."""
    target = make_record(regexp="a", further_regexps=["b"], further_forbidden_regexps=["c"]).resolve(DEFAULTS)
    assert (target.settings.regexps, target.settings.forbidden_regexps) == (("a", "b"), ("c",))


def test_options_become_the_fields_of_a_target() -> None:
    """What is not given is left out; what may be given several times becomes a list or an object."""
    given: dict[str, object] = {"regexp": ("a", "b", "c"), "forbidden_regexp": ("d",), "labels": (), "timeout_s": None}
    given["secret_headers"] = ("X",)
    given["expected_json"] = (("$.a", "ok"), ("$.b", "1"), ("$.c", '"1"'), ("$.d", "[tru"))
    assert fields_of_options(given | {"expected_headers": ("X: a:b", "Y:")}) == {
        "regexp": "a",
        "further_regexps": ["b", "c"],
        "forbidden_regexp": "d",
        "expected_headers": {"X": "a:b", "Y": ""},
        "secret_headers": ["X"],
        "expected_json": {"$.a": "ok", "$.b": 1, "$.c": "1", "$.d": "[tru"},
    }
    with pytest.raises(ValueError, match=r"^--expected-header: must be NAME:VALUE, of which 1 has no ':'$"):
        fields_of_options({"expected_headers": ("hunter2",)})


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"headers": ("X: hunter2", " X:b")}, "--header"),
        ({"labels": ("X=1", "Y=2", "X=1")}, "--label"),
        ({"expected_headers": ("X:a", "X:b")}, "--expected-header"),
        ({"expected_json": (("X", "1"), ("X", "2"))}, "--expected-json"),
    ],
)
def test_options_that_would_replace_each_other_are_refused(given: dict[str, object], option: str) -> None:
    """A check that nobody makes must not look as if it were made."""
    with pytest.raises(ValueError, match=f"^{option}: 'X' is given more than once$"):
        fields_of_options(given)


@settings(max_examples=50, deadline=None)
@given(records())
def test_every_good_record_becomes_a_target_whose_timeout_fits_its_interval(record: TargetRecord) -> None:
    """A producer never gets a check that runs into the next one."""
    assert record.problems() == []
    target = record.resolve(DEFAULTS)
    assert 0 < target.settings.timeout_s < target.settings.interval_s


def test_an_interval_shorter_than_the_default_timeout_shortens_the_timeout() -> None:
    """A user who states only the interval need not think of the timeout."""
    assert make_record(check_interval_s=5).resolve(DEFAULTS).settings.timeout_s == 4.5


def test_a_timeout_of_its_own_must_be_shorter_than_the_default_interval() -> None:
    """The user is told, because a shorter timeout is not what the user asked for."""
    assert make_record(timeout_s=59.9).resolve(DEFAULTS).settings.timeout_s == 59.9
    with pytest.raises(InvalidTargetError, match=r"^timeout_s: must be shorter than the interval \(60\), got 60$"):
        make_record(timeout_s=60).resolve(DEFAULTS)


@pytest.mark.parametrize("made", [make_record, make_target])
def test_credentials_never_show_in_a_repr(made: type) -> None:
    """Neither those of the URL nor those of the headers, wherever the object is logged."""
    secrets = {"Authorization": "hunter2"} if made is make_record else (("Authorization", "hunter2"),)
    shown = repr(made(url="https://me:hunter2@example.org/", headers=secrets))
    assert "hunter2" not in shown
    assert "https://example.org/" in shown


@given(st.from_regex(PLAIN_URL, fullmatch=True))
def test_a_plain_url_is_what_its_parts_say(url: str) -> None:
    """The expression gives the same host and the same verdict as splitting the URL."""
    parts = urlsplit(url)
    assert parts.port is None or 0 < parts.port <= 65_535
    assert make_target(url=url).host == parts.hostname
    assert make_record(url=url).problems() == []
