"""Targets: the websites to check, as a user states them and as a producer works them."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import attrs
import msgspec
import re2
from msgspec import Meta

from monitoring_core.errors import InvalidTargetError
from monitoring_core.result import MAX_URL_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MIN_INTERVAL_S = 1
MAX_INTERVAL_S = 86_400
MAX_REGEXP_LENGTH = 1_000
MAX_HEADERS = 50
MAX_BODY_LENGTH = 16_384
METHODS = ("GET", "HEAD", "POST")

# What nearly every URL is like, its host in group 1: in normal form, and nothing wrong with it.
PLAIN_URL = re.compile(
    r"(?!.*/\.)https?://([a-z0-9][a-z0-9.-]*)(?::(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}))?"
    r"/[A-Za-z0-9._~/=&;,+:!$'()*-]*(?:\?[A-Za-z0-9._~/?=&;,+:!$'()*-]+)?",
    re.ASCII,
)

# RFC 9110, section 5.6.2 (token) and 5.5 (field values; obsolete line folding is refused).
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,4000}")
_STATUS_PART = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?", re.ASCII)
_PROBER_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@attrs.frozen
class StatusSet:
    """The HTTP status codes that count as expected, as inclusive ranges."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str) -> StatusSet:
        """Read a list like `200-299,301`.

        Raises:
            ValueError: the text is not such a list.
        """
        return _parse_status_set(text)

    def __contains__(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self.ranges)

    def __str__(self) -> str:
        return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in self.ranges)


@lru_cache(maxsize=256)
def _parse_status_set(text: str) -> StatusSet:
    ranges = []
    for part in text.split(","):
        match = _STATUS_PART.fullmatch(part.strip())
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise ValueError(f"must be status codes and ranges like 200-299,301, got {text!r}")
        ranges.append((low, high))
    return StatusSet(tuple(ranges))


@attrs.frozen(kw_only=True)
class TargetRecord:
    """A target as the user states it: a row of `availability_monitor_config`, or a line of an import file.

    None means that the configuration's default applies.
    """

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL_LENGTH)] = attrs.field(
        repr=lambda url: repr(without_credentials(url))
    )
    id: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    regexp: Annotated[str, Meta(max_length=MAX_REGEXP_LENGTH)] | None = None
    active: bool = True
    check_interval_s: Annotated[int, Meta(ge=MIN_INTERVAL_S, le=MAX_INTERVAL_S)] | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=300)] | None = None
    method: str | None = None
    expected_status: str | None = None
    headers: dict[str, str] | None = attrs.field(default=None, repr=False)
    follow_redirects: bool | None = None
    verify_tls: bool | None = None
    labels: dict[str, str] | None = None
    body: Annotated[str, Meta(max_length=MAX_BODY_LENGTH)] | None = attrs.field(default=None, repr=False)

    @classmethod
    def parse(cls, fields: Mapping[str, Any], *, from_text: bool = False) -> TargetRecord:
        """Read a record and check everything about it that can be checked without its website.

        Args:
            fields: values by attribute name.
            from_text: values may be text, as in CSV: `60` for a number, `true` for a truth value.

        Raises:
            InvalidTargetError: with every problem found.
        """
        known = attrs.fields_dict(cls)
        problems = [f"{name}: no such field" for name in fields if name not in known]
        try:
            record = msgspec.convert(
                {name: value for name, value in fields.items() if name in known}, cls, strict=not from_text
            )
        except msgspec.ValidationError as error:
            raise InvalidTargetError([*problems, _plain(str(error))]) from None
        problems += record.problems()
        if problems:
            raise InvalidTargetError(problems)
        return record

    def problems(self) -> list[str]:
        """What is wrong with the values, a sentence each, naming the field and never a secret."""
        return [f"{name}: {message}" for name, message in self._problems()]

    def _problems(self) -> Iterator[tuple[str, str]]:
        if self.regexp is not None and (problem := _regexp_problem(self.regexp)):
            yield "regexp", problem
        if self.check_interval_s and self.timeout_s and self.timeout_s >= self.check_interval_s:
            yield (
                "timeout_s",
                f"must be shorter than check_interval_s ({self.check_interval_s}), got {self.timeout_s:g}",
            )
        if self.method is not None and self.method not in METHODS:
            yield "method", f"must be one of {', '.join(METHODS)}, got {self.method!r}"
        if self.expected_status is not None:
            try:
                StatusSet.parse(self.expected_status)
            except ValueError as error:
                yield "expected_status", str(error)
        for name, messages in (
            ("url", _url_problems(self.url)),
            ("headers", _header_problems(self.headers) if self.headers else ()),
            ("labels", _label_problems(self.labels) if self.labels else ()),
            ("body", _body_problems(self.body, self.method) if self.body is not None else ()),
        ):
            for message in messages:
                yield name, message

    def resolve(self, defaults: CheckDefaults) -> Target:
        """The target that a producer works, with the configuration's defaults filled in.

        A target that states its interval but not its timeout gets nine tenths of that interval at most.

        Raises:
            InvalidTargetError: the record's timeout does not fit the default interval, or it has no id.
        """
        interval_s = self.check_interval_s or defaults.interval_s
        timeout_s = self.timeout_s or min(defaults.timeout_s, 0.9 * interval_s)
        if self.id is None:
            raise InvalidTargetError(["id: is missing"])
        if timeout_s >= interval_s:
            raise InvalidTargetError(
                [f"timeout_s: must be shorter than the interval ({interval_s}), got {timeout_s:g}"]
            )
        return Target(
            id=self.id,
            url=self.url,
            regexp=self.regexp,
            interval_s=interval_s,
            timeout_s=timeout_s,
            method=self.method or "GET",
            expected_status=StatusSet.parse(self.expected_status) if self.expected_status else defaults.expected_status,
            headers=tuple((self.headers or {}).items()),
            follow_redirects=True if self.follow_redirects is None else self.follow_redirects,
            verify_tls=True if self.verify_tls is None else self.verify_tls,
            body=None if self.body is None else self.body.encode(),
        )


@attrs.frozen(kw_only=True)
class CheckDefaults:
    """What applies to a target that does not say otherwise."""

    interval_s: int
    timeout_s: float
    expected_status: StatusSet


@attrs.frozen(kw_only=True)
class Target:
    """A website as a producer checks it: nothing left to default."""

    id: int
    url: str = attrs.field(repr=lambda url: repr(without_credentials(url)))
    regexp: str | None
    interval_s: int
    timeout_s: float
    method: str
    expected_status: StatusSet
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    follow_redirects: bool
    verify_tls: bool
    body: bytes | None = attrs.field(default=None, repr=False)
    host: str = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # Many targets of one host share its name.
        plain = PLAIN_URL.fullmatch(self.url)
        host = plain[1] if plain else urlsplit(self.url).hostname or ""
        object.__setattr__(self, "host", sys.intern(host))


def compile_regexp(pattern: str) -> re2._Regexp[bytes]:
    """Compile a pattern for searching in UTF-8 bytes, in time linear in the text (RE2).

    Raises:
        ValueError: RE2 does not take it, for example because it needs back-references or look-around; or PostgreSQL
            does not, because it holds a NUL character.
    """
    if "\0" in pattern:
        raise ValueError("holds a NUL character, which PostgreSQL does not store (write \\x00)")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 4 << 20
    try:
        return re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    except re2.error as error:
        detail = error.args[0].decode(errors="replace") if error.args else "unknown error"
        raise ValueError(f"is not a regular expression that RE2 takes: {detail}") from None


@lru_cache(maxsize=1024)
def _regexp_problem(pattern: str) -> str | None:
    """Why a pattern is not taken; many targets share one, and only the sentence is kept."""
    try:
        compile_regexp(pattern)
    except ValueError as error:
        return str(error)
    return None


def without_credentials(url: str) -> str:
    """The URL without user name and password, fit for logs and rows."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _url_problems(url: str) -> Iterator[str]:
    if PLAIN_URL.fullmatch(url):
        return
    if not url.isprintable() or " " in url:  # no other space is printable
        yield "holds a space or a control character"
        return
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        yield f"is not a URL: {error}"
        return
    if parts.scheme not in ("http", "https"):
        yield f"must begin with http:// or https://, got {without_credentials(url)[:100]!r}"
    elif not host:
        yield "has no host"
    elif port == 0:
        yield "has port 0"


def _is_text_by_name(value: object) -> bool:
    """Whether it is what its type says: PostgreSQL takes any JSON."""
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _label_problems(labels: dict[str, str]) -> Iterator[str]:
    if not _is_text_by_name(labels):
        yield "must be an object whose values are text"
        return
    yield from _text_problems("".join(map("".join, labels.items())))


def _header_problems(headers: dict[str, str]) -> Iterator[str]:
    if not _is_text_by_name(headers):
        yield "must be an object whose values are text"
        return
    if len(headers) > MAX_HEADERS:
        yield f"at most {MAX_HEADERS} are allowed, got {len(headers)}"
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            yield f"{name[:100]!r} is not a header name"
        elif name.lower() in _PROBER_HEADERS:
            yield f"{name} is set by the prober"
        elif not _HEADER_VALUE.fullmatch(value):
            yield f"the value of {name} holds a character that no header may hold, or is too long"


def _body_problems(body: str, method: str | None) -> Iterator[str]:
    if method != "POST":
        yield "needs method POST"
    yield from _text_problems(body)


def _text_problems(text: str) -> Iterator[str]:
    """What PostgreSQL does not store: NUL and lone surrogates, both of which JSON can write."""
    if "\0" in text:
        yield "must not hold a NUL character"
    if any("\ud800" <= c <= "\udfff" for c in text):
        yield "must be valid Unicode"


def _plain(message: str) -> str:
    """msgspec's ``Expected `int`, got `str` - at `$.timeout_s` `` as `timeout_s: expected int, got str`."""
    text, _, place = message.replace("`", "").partition(" - at $.")
    sentence = text[0].lower() + text[1:]
    return f"{place}: {sentence}" if place else sentence
