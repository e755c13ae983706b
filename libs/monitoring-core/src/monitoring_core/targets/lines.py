"""A file as blocks of whole lines, in bounded memory for any content."""

from __future__ import annotations

import codecs
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK_BYTES = 128 * 1024
MAX_LINE = 256 * 1024


class Lines:
    """The lines of a file as bytes with their line ends: one by one, or a block of them together.

    A UTF-8 byte order mark is skipped.

    Attributes:
        number: the one-based number of the last line that was returned or skipped.
    """

    def __init__(self, file: IO[bytes], read: Callable[[int], None] = lambda _: None) -> None:
        """Args: read: called with the number of bytes of each block."""
        self._blocks = _blocks(file, read)
        self._lines: list[bytes] = []
        self._at = 0
        self.number = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._at == len(self._lines):
            self._load()
        self.skip(1)
        return self._lines[self._at - 1]

    def block(self) -> list[bytes]:
        """The rest of the present block, or else the next block, without moving on; empty at the end of the file."""
        if self._at == len(self._lines):
            try:
                self._load()
            except StopIteration:
                return []
        return self._lines[self._at :] if self._at else self._lines

    def peek(self) -> bytes:
        """The next line, without moving on; empty at the end of the file."""
        return self._lines[self._at] if self._at < len(self._lines) else b"".join(self.block()[:1])

    def skip(self, count: int) -> None:
        """Move on by a number of lines, at most to the end of the block."""
        self._at += count
        self.number += count

    def _load(self) -> None:
        self._lines, self._at = next(self._blocks), 0


def _blocks(file: IO[bytes], read: Callable[[int], None]) -> Iterator[list[bytes]]:
    """Blocks of whole lines. A line longer than MAX_LINE ends them: its beginning is the last block."""
    rest = file.read(len(codecs.BOM_UTF8))
    read(len(rest))
    rest = rest.removeprefix(codecs.BOM_UTF8)
    while content := file.read(BLOCK_BYTES):
        read(len(content))
        lines = (rest + content).splitlines(keepends=True)
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        if lines and len(lines[0]) > MAX_LINE:
            yield lines[:1]
            return
        if lines:
            yield lines
        if len(rest) > MAX_LINE:
            break
    if rest:
        yield [rest]
