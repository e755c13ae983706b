"""What a response means: each rule by which a website is not up."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from monitoring_core.result import Reason
from monitoring_core.target import compile_regexp
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.charset import to_utf8

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_core.target import StatusSet

_compiled = lru_cache(maxsize=10_000)(compile_regexp)


def judge_status_code(status: int) -> None:
    """Refuse what is no status code of a final answer.

    Raises:
        EndingError: connection_error.
    """
    if not 200 <= status <= 999:
        raise EndingError(Reason.CONNECTION_ERROR, f"the answer is not HTTP: status {status}")


def judge_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that HTTP forbids; the engines' libraries would each make something else of them.

    Raises:
        EndingError: connection_error.
    """
    length = headers.get("content-length")
    if length is not None and "transfer-encoding" not in headers and not _is_length(length):
        raise EndingError(Reason.CONNECTION_ERROR, "the answer is not HTTP: malformed Content-Length")
    if any("\0" in value for value in headers.values()):
        raise EndingError(Reason.CONNECTION_ERROR, "the answer is not HTTP: NUL in a header")


def judge_expectation(status: int, expected: StatusSet) -> None:
    """Hold the status of an answer to the one that the target expects.

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


def _is_length(text: str) -> bool:
    """Whether it is one number, perhaps repeated (RFC 9110, section 8.6)."""
    lengths = {part.strip() for part in text.split(",")}
    return len(lengths) == 1 and lengths.pop().isdecimal()
