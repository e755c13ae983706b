"""What must be found in a body that is JSON."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from monitoring_core.result import Reason
from monitoring_core.targets.json_path import TooManyStepsError, compile_json_path, limited_to, values_at
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.verdict import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# How many values a body may have, and how many all paths of a target may look at in it: a tenth of a second.
MAX_VALUES = 100_000
_compiled = lru_cache(maxsize=10_000)(compile_json_path)


def judge_json(content: bytes, expected: Iterable[tuple[str, Any]]) -> None:
    """Follow paths in a body, as UTF-8: each must lead to one value or more, and all of them must be the expected one.

    Raises:
        EndingError: body_mismatch; body_too_large, the body has too many values for the paths.
    """
    document = _parsed(content)
    try:
        with limited_to(MAX_VALUES):
            for path, value in expected:
                _judge(path, values_at(_compiled(path), document), value)
    except TooManyStepsError:
        detail = f"the JSON paths look at more than {MAX_VALUES} values of the body"
        raise EndingError(Reason.BODY_TOO_LARGE, detail) from None
    except RecursionError:
        raise EndingError(Reason.BODY_MISMATCH, "the JSON of the body is nested too deeply") from None


def _parsed(content: bytes) -> Any:
    # Counted first: values may take fifty times the room of their text.
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise EndingError(Reason.BODY_TOO_LARGE, f"the JSON of the body has more than {MAX_VALUES} values")
    try:
        return json.loads(content.decode(errors="replace"), parse_constant=_refuse)
    except RecursionError:
        raise EndingError(Reason.BODY_MISMATCH, "the JSON of the body is nested too deeply") from None
    except ValueError:
        raise EndingError(Reason.BODY_MISMATCH, "the body is not JSON") from None


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity, which Python reads as numbers."""
    raise ValueError(constant)


def _judge(path: str, found: Iterator[Any], expected: Any) -> None:
    nothing = True
    for value in found:
        nothing = False
        if not same(value, expected):
            detail = f"the JSON path {shown(path)} leads to {_described(value)}, expected {shown(json.dumps(expected))}"
            raise EndingError(Reason.BODY_MISMATCH, detail)
    if nothing:
        raise EndingError(Reason.BODY_MISMATCH, f"the JSON path {shown(path)} leads to nothing")


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, and neither of them is true (RFC 9535, section 2.3.5.2.2)."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _described(value: Any) -> str:
    """A value of a body in an error: of text and of what has parts the kind alone, as it may be private."""
    match value:
        case str():
            return "another text"
        case list():
            return f"an array of {len(value)}"
        case dict():
            return f"an object of {len(value)}"
    return shown(json.dumps(value))
