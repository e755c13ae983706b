"""The rules that decide from a response whether a website is up."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from monitoring_core.result import Reason
from monitoring_core.targets import compile_regexp
from producer_svc.checks.ending import EndingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring_core.targets import StatusSet
    from producer_svc.checks.http.head import Head

_MAX_SHOWN = 100
_DIGITS = re.compile("[0-9]{1,18}")
_compiled = lru_cache(maxsize=10_000)(compile_regexp)


def judge_head(head: Head) -> None:
    """Refuse what HTTP forbids and what nobody could make sense of.

    Raises:
        EndingError: connection_error.
    """
    if not 200 <= head.status <= 999:
        raise EndingError(Reason.CONNECTION_ERROR, f"the answer is not HTTP: status {head.status}")
    lengths = head.lengths
    if lengths and not head.is_chunked and not (len(lengths) == 1 and all(map(_DIGITS.fullmatch, lengths))):
        raise EndingError(Reason.CONNECTION_ERROR, "the answer is not HTTP: malformed Content-Length")
    if head.has_nul:
        raise EndingError(Reason.CONNECTION_ERROR, "the answer is not HTTP: NUL in a header")


def judge_expectation(status: int, expected: StatusSet) -> None:
    """Compare the status of an answer with those that the target expects.

    Raises:
        EndingError: status_mismatch.
    """
    if status not in expected:
        raise EndingError(Reason.STATUS_MISMATCH, f"status {status}, expected {expected}")


def judge_headers(head: Head, expected: Iterable[tuple[str, str]]) -> None:
    """Search the fields of an answer for what the target expects in them.

    Args:
        expected: names, in lower case, and the regular expression that a value of each must match.

    Raises:
        EndingError: body_mismatch.
    """
    for name, pattern in expected:
        values = head.all(name)
        if not values:
            raise EndingError(Reason.BODY_MISMATCH, f"the answer has no header {name}")
        if not any(matches(pattern, value.encode("latin-1")) for value in values):
            raise EndingError(Reason.BODY_MISMATCH, f"the header {name} does not match {shown(pattern)}")


def matches(pattern: str, content: bytes) -> bool:
    """Whether the regular expression is found in UTF-8 text."""
    return _compiled(pattern).search(content) is not None


def judge_forbidden(content: bytes, patterns: Iterable[str]) -> None:
    """Search a body, as UTF-8, for what must not be in it.

    Raises:
        EndingError: body_mismatch.
    """
    for pattern in patterns:
        if matches(pattern, content):
            detail = f"the regular expression that must not match does: {shown(pattern)}"
            raise EndingError(Reason.BODY_MISMATCH, detail)


def mismatch(pattern: str, unknown_encoding: str) -> EndingError:
    """The end of a check whose regular expression was not found."""
    hint = f" (the body is encoded as {unknown_encoding!r})" if unknown_encoding else ""
    return EndingError(Reason.BODY_MISMATCH, f"the regular expression does not match: {shown(pattern)}{hint}")


def shown(pattern: str) -> str:
    """A part of a target in an error."""
    return pattern if len(pattern) <= _MAX_SHOWN else f"{pattern[: _MAX_SHOWN - 1]}…"
