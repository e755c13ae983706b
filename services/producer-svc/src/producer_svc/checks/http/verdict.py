"""The rules that decide from a response whether a website is up."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from monitoring_core.result import Reason
from monitoring_core.targets import compile_regexp
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.charset import to_utf8

if TYPE_CHECKING:
    from monitoring_core.targets import StatusSet
    from producer_svc.checks.http.head import Head

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


def matches(pattern: str, content: bytes, content_type: str | None) -> bool:
    """Whether the regular expression is found in the body."""
    return _compiled(pattern).search(to_utf8(content, content_type)) is not None


def mismatch(unknown_encoding: str) -> EndingError:
    """The end of a check whose regular expression was not found."""
    hint = f" (the body is encoded as {unknown_encoding!r})" if unknown_encoding else ""
    return EndingError(Reason.BODY_MISMATCH, f"the regular expression does not match{hint}")
