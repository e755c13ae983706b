"""The body of a response: decompressed as it comes, and never larger than its limit."""

from __future__ import annotations

import contextlib
import struct
import zlib
from itertools import chain
from typing import TYPE_CHECKING

from monitoring_core.result import Reason
from producer_svc.checks.ending import EndingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What is undone of a Content-Encoding, and how often one after another, as in curl.
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
_MAX_CODINGS = 5
# Window bits for zlib: 47 reads gzip and zlib streams, a negative number the bare stream without a header.
_WBITS, _RAW_DEFLATE_WBITS = 47, -15
# So many bytes tell which format a stream is in; a member of gzip begins with these.
_HEADER, _GZIP = 2, b"\x1f\x8b"
# What one step of decompressing gives at most.
_PIECE = 64 * 1024


class Body:
    """Collects a body and bounds its size, even while a small chunk decompresses to a large one.

    Attributes:
        unknown: the content encoding, if the check did not ask for it; the body is then not decompressed. Else empty.
        cut: whether the rest was left because the body is larger than its limit.
    """

    def __init__(self, limit: int, encoding: str) -> None:
        encoding = encoding.strip().lower()
        codings = [coding for part in encoding.split(",") if (coding := part.strip()) not in ("", "identity")]
        is_known = len(codings) <= _MAX_CODINGS and _KNOWN.issuperset(codings)
        self._limit = limit
        self._content = bytearray()
        # Each finds out its format itself, so that their order does not matter.
        self._inflations = [_Inflation() for _ in codings] if is_known else []
        self.cut = False
        self.unknown = "" if is_known else encoding

    @property
    def size(self) -> int:
        """Bytes so far, decompressed; one more than the limit stands for at least so many."""
        return min(len(self._content), self._limit + 1)

    def feed(self, chunk: bytes) -> None:
        """Accept bytes as they came over the wire. Once the body is `cut`, there is no use in more.

        Raises:
            EndingError: body_read_error, the body is not compressed as it says.
        """
        pieces: Iterable[bytes] = (chunk,)
        for inflation in self._inflations:
            pieces = chain.from_iterable(map(inflation.feed, pieces))
        try:
            for piece in pieces:
                self._content += piece
                if len(self._content) > self._limit:
                    self.cut = True
                    return
        except zlib.error:
            raise EndingError(Reason.BODY_READ_ERROR, "the body is not compressed as it says") from None

    def finish(self) -> bytes:
        """The body, as far as its limit.

        Raises:
            EndingError: body_read_error, the compressed body ends in the middle.
        """
        if not self.cut and not all(inflation.is_whole for inflation in self._inflations):
            raise EndingError(Reason.BODY_READ_ERROR, "the compressed body ends in the middle")
        return bytes(self._content[: self._limit])


class _Inflation:
    """One compression that is undone, piece by piece. What follows its end is passed over, as browsers do."""

    def __init__(self) -> None:
        # None at the beginning, and after the end of a member: gzip may hold several (RFC 1952, section 2.2).
        self._decoder: zlib._Decompress | None = None
        # The first bytes, while they are too few to tell the format.
        self._first = b""
        self._ended = self._over = False
        # Check sums and length of the current member.
        self._crc, self._adler, self._length = 0, 1, 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, but perhaps the check sum, which browsers and curl do without."""
        if self._decoder is None:
            return self._ended or not self._first
        return self._over or self._lacks_its_trailer(self._decoder)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Raises zlib.error when the stream is not compressed."""
        while chunk and not self._over:
            if self._decoder is None:
                self._first += chunk
                if len(self._first) < _HEADER:
                    return
                chunk, self._first = self._first, b""
                self._decoder = self._begun(chunk)
            yield from self._inflated(self._decoder, chunk)
            chunk = self._decoder.unused_data
            if self._decoder.eof:
                self._ended, self._decoder = True, None

    def _begun(self, first: bytes) -> zlib._Decompress:
        """Find out the format by trying."""
        self._over = self._ended and not first.startswith(_GZIP)
        self._crc, self._adler, self._length = 0, 1, 0
        try:
            zlib.decompressobj(_WBITS).decompress(first[:_HEADER])
        except zlib.error:  # `deflate` means zlib, but some servers send the bare stream
            return zlib.decompressobj(_RAW_DEFLATE_WBITS)
        return zlib.decompressobj(_WBITS)

    def _inflated(self, decoder: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
        while not self._over:
            try:
                piece = decoder.decompress(chunk, _PIECE)
            except zlib.error:
                if not self._ended:
                    raise
                self._over = True
                return
            self._crc, self._adler = zlib.crc32(piece, self._crc), zlib.adler32(piece, self._adler)
            self._length += len(piece)
            if piece:
                yield piece
            chunk = decoder.unconsumed_tail
            if decoder.eof or not (chunk or len(piece) == _PIECE):
                return

    def _lacks_its_trailer(self, decoder: zlib._Decompress) -> bool:
        for trailer in (struct.pack("<II", self._crc, self._length & 0xFFFFFFFF), struct.pack(">I", self._adler)):
            for sent in range(len(trailer)):
                copy = decoder.copy()
                with contextlib.suppress(zlib.error):
                    copy.decompress(trailer[sent:])
                    if copy.eof:
                        return True
        return False


def excerpt(content: bytes, limit: int) -> str:
    """The first `limit` bytes as text for a person: line breaks and tabs stay, other control characters do not."""
    text = content[:limit].decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)[:limit]
