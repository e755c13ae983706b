"""What a target sends and is labelled with: methods, headers, bodies and labels, and what may be wrong with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HEADERS = 50
MAX_BODY_LENGTH = 16_384
METHODS = ("GET", "HEAD", "POST")

# RFC 9110, section 5.6.2 (token) and 5.5 (field values; obsolete line folding is refused).
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,4000}")
# The name of a file in a directory that the producer is told of: no path leads out of it.
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PROBER_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def label_problems(labels: dict[str, str]) -> Iterator[str]:
    """What is wrong with labels, a sentence each."""
    if not _is_text_by_name(labels):
        yield "must be an object whose values are text"
        return
    yield from _text_problems("".join(map("".join, labels.items())))


def header_problems(headers: dict[str, str]) -> Iterator[str]:
    """What is wrong with headers, a sentence each; never a value, which may be a secret."""
    if not _is_text_by_name(headers):
        yield "must be an object whose values are text"
        return
    if len(headers) > MAX_HEADERS:
        yield f"at most {MAX_HEADERS} are allowed, got {len(headers)}"
    for name, value in headers.items():
        if not is_header_name(name):
            yield f"{name[:100]!r} is not a header name"
        elif name.lower() in _PROBER_HEADERS:
            yield f"{name} is set by the prober"
        elif not _HEADER_VALUE.fullmatch(value):
            yield f"the value of {name} holds a character that no header may hold, or is too long"


def is_header_name(text: str) -> bool:
    """Whether a text can be the name of a header."""
    return _HEADER_NAME.fullmatch(text) is not None


def header_name_problems(names: list[str]) -> Iterator[str]:
    """What is wrong with the names of headers, a sentence each."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        yield "must be a list of texts"
        return
    if len(names) > MAX_HEADERS:
        yield f"at most {MAX_HEADERS} are allowed, got {len(names)}"
    for name in names:
        if not is_header_name(name):
            yield f"{name[:100]!r} is not a header name"


def file_name_problems(name: str) -> Iterator[str]:
    """What is wrong with the name of a file of the producer's, at most one sentence."""
    if not _FILE_NAME.fullmatch(name):
        yield f"must be the name of a file: letters, digits, dots, dashes or underscores, got {name[:100]!r}"


def body_problems(body: str, method: str | None) -> Iterator[str]:
    """What is wrong with the body of a request with this method, a sentence each."""
    if method != "POST":
        yield "needs method POST"
    yield from _text_problems(body)


def _text_problems(text: str) -> Iterator[str]:
    """What PostgreSQL does not store: NUL and lone surrogates, both of which JSON can write."""
    if "\0" in text:
        yield "must not hold a NUL character"
    if any("\ud800" <= c <= "\udfff" for c in text):
        yield "must be valid Unicode"


def _is_text_by_name(value: object) -> bool:
    """Whether a value is a dictionary of text to text; in a row of PostgreSQL it may be any JSON."""
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
