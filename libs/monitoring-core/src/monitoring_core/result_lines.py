"""A result as one line of JSON: what `--json` prints, and what one command passes on to another.

Scripts read these lines, so this format must stay as it is even when the wire format changes.
"""

from __future__ import annotations

import msgspec

from monitoring_core.result import CheckResult

_decoder = msgspec.json.Decoder(CheckResult)
# The characters beyond ASCII that some programs take for line breaks (Unicode, section 5.8; Python's str.splitlines).
# JSON itself escapes the line breaks within ASCII.
_LINE_BREAKS = str.maketrans({character: f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"})


def to_line(result: msgspec.Struct) -> str:
    """The fields of a result, or of what is made of results, by name; no line break, whatever the website sent."""
    return msgspec.json.encode(msgspec.structs.asdict(result)).decode().translate(_LINE_BREAKS)


def from_line(line: str) -> CheckResult:
    """The result in a line that `to_line` made.

    Raises:
        ValueError: the line holds no result.
    """
    return _decoder.decode(line)
