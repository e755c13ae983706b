"""The head of an answer, for whichever engine read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_FIELDS = 1_000
MAX_BYTES = 64 * 1024
# What says of a transfer coding how the body ends, or nothing.
_FRAMING = ("chunked", "identity", "")


@attrs.frozen
class Head:
    """Status and fields of an answer; names in lower case, values with a character for each byte."""

    status: int
    fields: Sequence[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """The values of all fields with this name."""
        return [value for other, value in self.fields if other == name]

    def first(self, name: str) -> str:
        """The value of the first field with this name, or nothing."""
        return next((value for other, value in self.fields if other == name), "")

    @property
    def transfer_codings(self) -> list[str]:
        """How the body is coded on the way, in lower case."""
        return [coding.strip().lower() for value in self.all("transfer-encoding") for coding in value.split(",")]

    @property
    def encoding(self) -> str:
        """How the body is compressed, whatever field says it."""
        said = [value for value in self.all("content-encoding") if value.strip()]
        return ", ".join(said) or ", ".join(coding for coding in self.transfer_codings if coding not in _FRAMING)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "chunked" in self.transfer_codings

    @property
    def lengths(self) -> set[str]:
        """What the fields say of the body's length; one number in a sound answer."""
        return {part.strip() for value in self.all("content-length") for part in value.split(",")}
