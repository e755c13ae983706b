"""Regular expressions for the body of a website's answer, in the syntax of RE2."""

from __future__ import annotations

from functools import lru_cache

import re2

MAX_REGEXP_LENGTH = 1_000
_MAX_MEMORY = 4 << 20


def compile_regexp(pattern: str) -> re2._Regexp[bytes]:
    """Compile a pattern for searching in UTF-8 bytes, in time linear in the text (RE2).

    Raises:
        ValueError: RE2 refuses it, for example because it needs back-references or look-around; or PostgreSQL cannot
            store it, because it holds a NUL character.
    """
    if "\0" in pattern:
        raise ValueError("holds a NUL character, which PostgreSQL does not store (write \\x00)")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    except re2.error as error:
        detail = error.args[0].decode(errors="replace") if error.args else "unknown error"
        raise ValueError(f"is not a regular expression that RE2 takes: {detail}") from None


@lru_cache(maxsize=1024)
def regexp_problem(pattern: str) -> str | None:
    """Why a pattern is refused, or None. Cached, because many targets share a pattern."""
    try:
        compile_regexp(pattern)
    except ValueError as error:
        return str(error)
    return None
