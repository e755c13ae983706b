"""What a target expects of an answer beside its status, and what may be wrong with that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitoring_core.targets.contents import is_header_name
from monitoring_core.targets.regexp import regexp_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_EXPECTATIONS = 20


def regexp_list_problems(patterns: list[str]) -> Iterator[str]:
    """What is wrong with several regular expressions, a sentence each."""
    if not is_list_of_text(patterns):
        yield "must be a list of texts"
        return
    yield from _too_many(patterns)
    for pattern in patterns:
        if problem := regexp_problem(pattern):
            yield f"{_short(pattern)} {problem}"


def expected_header_problems(headers: dict[str, str]) -> Iterator[str]:
    """What is wrong with the regular expressions for headers, by their names, a sentence each."""
    if not isinstance(headers, dict) or not is_list_of_text(list(headers.values())):
        yield "must be an object whose values are text"
        return
    yield from _too_many(headers)
    for name, pattern in headers.items():
        if not is_header_name(name):
            yield f"{_short(name)} is not a header name"
        elif problem := regexp_problem(pattern):
            yield f"{name}: {_short(pattern)} {problem}"


def is_list_of_text(value: object) -> bool:
    """Whether a value is a list of texts; in a row of PostgreSQL it may be any JSON."""
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _too_many(values: list[str] | dict[str, Any]) -> Iterator[str]:
    if len(values) > MAX_EXPECTATIONS:
        yield f"at most {MAX_EXPECTATIONS} are allowed, got {len(values)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:59]}…")
