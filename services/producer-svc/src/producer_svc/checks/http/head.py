"""The head of an answer, for whichever engine read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# As curl has the one and Chrome the other.
MAX_FIELDS = 5_000
MAX_BYTES = 256 * 1024
# What has no end, the second ones if nothing tells their length. As native decides, too, before it reads a body.
_ENDLESS = ("text/event-stream", "multipart/x-mixed-replace")
_ENDLESS_WITHOUT_LENGTH = ("audio/", "video/")
# What says of a transfer coding how the body ends, or nothing.
_FRAMING = ("chunked", "identity", "")


class Head:
    """Status and fields of an answer.

    Attributes:
        fields: names, in lower case, and values in their order, with a character for each byte.
        has_nul: whether a value holds the character NUL.
    """

    def __init__(self, status: int, fields: Sequence[tuple[str, str]]) -> None:
        values: dict[str, list[str]] = {}
        has_nul = False
        for name, value in fields:
            if name in values:
                values[name].append(value)
            else:
                values[name] = [value]
            has_nul = has_nul or "\0" in value
        self.status, self.fields, self.has_nul, self._values = status, fields, has_nul, values

    def all(self, name: str) -> Sequence[str]:
        """The values of all fields with this name."""
        return self._values.get(name, ())

    def first(self, name: str) -> str:
        """The value of the first field with this name, or nothing."""
        return next(iter(self.all(name)), "")

    @property
    def transfer_codings(self) -> list[str]:
        """How the body is coded on the way, in lower case."""
        return [coding.strip().lower() for value in self.all("transfer-encoding") for coding in value.split(",")]

    @property
    def encoding(self) -> str:
        """How the body is compressed, whatever field says it."""
        said = ", ".join([value for value in self.all("content-encoding") if value.strip()])
        if said or "transfer-encoding" not in self._values:
            return said
        return ", ".join([coding for coding in self.transfer_codings if coding not in _FRAMING])

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "chunked" in self.transfer_codings

    @property
    def is_endless(self) -> bool:
        """Whether nobody can wait for the end of the body."""
        endless = _ENDLESS if self.all("content-length") else (*_ENDLESS, *_ENDLESS_WITHOUT_LENGTH)
        return any(value.lstrip().lower().startswith(endless) for value in self.all("content-type"))

    @property
    def lengths(self) -> set[str]:
        """What the fields say of the body's length; one number in a sound answer."""
        return {part.strip() for value in self.all("content-length") for part in value.split(",")}
