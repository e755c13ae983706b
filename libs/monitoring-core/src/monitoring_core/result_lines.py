"""A result as one line of JSON: what `--json` prints, and what one command line passes on to another.

Scripts read these lines, so they are a format of their own: the wire format may change without them.
"""

from __future__ import annotations

import msgspec

from monitoring_core.result import CheckResult

_decoder = msgspec.json.Decoder(CheckResult)


def to_line(result: CheckResult) -> str:
    """The fields of a result by name, None as null; without a line break."""
    return msgspec.json.encode(result).decode()


def from_line(line: str) -> CheckResult:
    """The result that `to_line` wrote.

    Raises:
        ValueError: it did not.
    """
    return _decoder.decode(line)
