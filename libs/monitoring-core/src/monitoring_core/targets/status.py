"""The HTTP status codes that a target may answer with."""

from __future__ import annotations

import re
from functools import lru_cache

import attrs

_PART = re.compile(r"([1-9]\d\d)(?:-([1-9]\d\d))?", re.ASCII)


@attrs.frozen
class StatusSet:
    """The HTTP status codes that count as expected, as inclusive ranges."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str) -> StatusSet:
        """Read a list like `200-299,301`.

        Raises:
            ValueError: the text is not a list of status codes and ranges.
        """
        return _parsed(text)

    def __contains__(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self.ranges)

    def __str__(self) -> str:
        return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in self.ranges)


@lru_cache(maxsize=256)
def _parsed(text: str) -> StatusSet:
    ranges = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise ValueError(f"must be status codes and ranges like 200-299,301, got {text!r}")
        ranges.append((low, high))
    return StatusSet(tuple(ranges))
