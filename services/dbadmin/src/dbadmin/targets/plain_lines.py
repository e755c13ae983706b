"""A quick test that most good lines pass: for CSV one regular expression, which RE2 matches in linear time.

A line that passes is one that TargetRecord.parse accepts, and PostgreSQL's COPY reads the same values from it (property
tests hold both). Every other line is left to TargetRecord.parse.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import attrs
import msgspec
import re2

from monitoring_core.targets import METHODS, TargetRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

# In bytes. This bounds every field too: a bound in the expression itself would make the automaton many times larger.
_MAX_LINE = 900

_URL = r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[1-9][0-9]{0,3})?(?:[/?#][A-Za-z0-9/?#=&_.%~+:;@!$'()*-]*)?"
_TEXT = r"[A-Za-z0-9 _/:;=&@!~<>%#'-]"
_TRUTH = "true|false"
_LABEL = r'""[A-Za-z0-9 _./:-]*"": ?""[A-Za-z0-9 _./:-]*""'
_FRACTION = r"(?:\.[0-9]{1,3})?"
_PATTERNS = {
    "url": f'{_URL}|"{_URL.replace("_.%", "_.,%")}"',
    "regexp": f'{_TEXT}*|"[,A-Za-z0-9 _/:;=&@!~<>%#\'-]+"',
    "id": "|[1-9][0-9]{0,17}",
    "active": _TRUTH,
    "method": "|GET|HEAD|POST",
    "expected_status": "|[1-5][0-9]{2}|200-299|200-399",
    "headers": "",
    "follow_redirects": f"|{_TRUTH}",
    "verify_tls": f"|{_TRUTH}",
    "labels": rf'|"\{{{_LABEL}(?:, ?{_LABEL})*\}}"',
    "body": "",
    "forbidden_regexp": "",
    "connect_to": "",
    "address_family": "|ipv4|ipv6",
    "further_regexps": "",
    "further_forbidden_regexps": "",
    "expected_headers": "",
    "expected_json": "",
    "degraded_above_s": "",
    "secret_headers": "",
    "client_certificate": "",
}
# Pairs of interval and timeout in which one is missing, or the timeout is certainly shorter.
_TIMES = (
    ("|[1-9][0-9]{0,3}|[1-7][0-9]{4}", ""),
    ("", f"[1-9][0-9]?{_FRACTION}|[12][0-9]{{2}}"),
    ("[1-9][0-9]{2,3}|[1-7][0-9]{4}", f"[1-9][0-9]?{_FRACTION}"),
    ("[3-9][0-9]", f"[12]?[1-9]{_FRACTION}|[12]0{_FRACTION}"),
    ("[1-9][0-9]", f"[1-9]{_FRACTION}"),
)


class PlainLines:
    """Recognises the plain lines of a file with these columns."""

    def __init__(self, columns: Sequence[str]) -> None:
        ways = (_PATTERNS | {"check_interval_s": interval, "timeout_s": timeout} for interval, timeout in _TIMES)
        line = "|".join(",".join(f"(?:{way[column]})" for column in columns) for way in ways)
        self._one = re2.compile(f"(?:{line})\r?\n".encode()).fullmatch
        self._all = re2.compile(f"(?:(?:{line})\r?\n)*".encode()).fullmatch

    def all(self, lines: Sequence[bytes]) -> bool:
        """Whether every one of the lines is plain."""
        return max(map(len, lines)) <= _MAX_LINE and self._all(b"".join(lines)) is not None

    def __contains__(self, line: bytes) -> bool:
        return len(line) <= _MAX_LINE and self._one(line) is not None


# Decodes the fields of TargetRecord within their bounds in a third of the time, and refuses unknown fields.
_Fields: Any = msgspec.defstruct(
    "_Fields",
    [
        (field.name, field.type) if field.default is attrs.NOTHING else (field.name, field.type, field.default)
        for field in attrs.fields(attrs.resolve_types(TargetRecord, include_extras=True))
    ],
    forbid_unknown_fields=True,
    gc=False,
)
_decode = msgspec.json.Decoder(_Fields).decode
_is_plain_url = re.compile(_URL).fullmatch
_is_plain_text = re.compile(f"(?:{_TEXT}|,)*").fullmatch


def plain_json(line: bytes) -> TargetRecord | None:
    """The fields of TargetRecord as attributes when the line is certainly good, else None."""
    if b"\\" in line:  # an escape may stand for NUL or for half a surrogate pair
        return None
    try:
        fields = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    good = (
        _is_plain_url(fields.url)
        and (fields.regexp is None or _is_plain_text(fields.regexp))
        and (fields.timeout_s is None or fields.check_interval_s is None or fields.timeout_s < fields.check_interval_s)
        and (fields.method is None or fields.method in METHODS)
        and fields.expected_status is fields.headers is fields.body is None
        and fields.forbidden_regexp is fields.connect_to is fields.address_family is None
        and fields.further_regexps is fields.further_forbidden_regexps is None
        and fields.expected_headers is fields.expected_json is None
        and fields.degraded_above_s is fields.secret_headers is fields.client_certificate is None
    )
    return cast("TargetRecord", fields) if good else None
