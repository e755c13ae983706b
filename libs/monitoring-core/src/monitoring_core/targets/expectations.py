"""What a target expects of an answer beside its status, and what may be wrong with that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from monitoring_core.targets.contents import is_header_name
from monitoring_core.targets.regexp import regexp_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_EXPECTATIONS = 20
# How deep lists and objects may be in each other.
MAX_LEVELS = 50
_MAX_JSON_LENGTH = 4_000


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


def expected_json_problems(expected: Any) -> Iterator[str]:
    """What is wrong with JSON paths and their expected values, a sentence each."""
    # Few targets need the library of JSON paths.
    from monitoring_core.targets.json_path import json_path_problem

    if not isinstance(expected, dict):
        yield "must be an object of values by JSON paths"
        return
    yield from _too_many(expected)
    for path, value in expected.items():
        if problem := json_path_problem(path):
            yield f"{_short(path)} {problem}"
        elif problem := _value_problem(value):
            yield f"the value of {_short(path)} {problem}"


def is_nested_deeply(value: Any, levels: int = MAX_LEVELS) -> bool:
    """Whether a value of JSON has lists and objects in each other to more than so many levels.

    To compare, copy or write such a value may take more of the stack than Python has.
    """
    match value:
        case dict():
            parts: Iterable[Any] = value.values()
        case list():
            parts = value
        case _:
            return False
    return levels == 0 or any(is_nested_deeply(part, levels - 1) for part in parts)


def _value_problem(value: Any) -> str | None:
    if is_nested_deeply(value):
        return f"is nested in more than {MAX_LEVELS} levels"
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if len(text.encode()) > _MAX_JSON_LENGTH:
            return f"is longer than {_MAX_JSON_LENGTH} bytes"
        return "must not hold a NUL character" if _holds_nul(value) else None
    except UnicodeEncodeError:
        return "must be valid Unicode"
    except (ValueError, TypeError):
        return "is not JSON"


def _holds_nul(value: Any) -> bool:
    """Whether a text in the value holds a NUL character, which PostgreSQL does not store."""
    if isinstance(value, dict):
        return any("\0" in name or _holds_nul(part) for name, part in value.items())
    if isinstance(value, list):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value


def is_list_of_text(value: object) -> bool:
    """Whether a value is a list of texts; in a row of PostgreSQL it may be any JSON."""
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _too_many(values: list[str] | dict[str, Any]) -> Iterator[str]:
    if len(values) > MAX_EXPECTATIONS:
        yield f"at most {MAX_EXPECTATIONS} are allowed, got {len(values)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:59]}…")
