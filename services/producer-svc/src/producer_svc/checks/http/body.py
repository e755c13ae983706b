"""The body of a response: decompressed as it comes, and never larger than its limit."""

from __future__ import annotations

import contextlib
import struct
import zlib

from monitoring_core.result import Reason
from producer_svc.checks.ending import EndingError

# Window bits for zlib: 47 reads gzip and zlib streams, a negative number the bare stream without a header.
_WBITS = {"gzip": 47, "x-gzip": 47, "deflate": 47}
_RAW_DEFLATE_WBITS = -15
# So many bytes tell which format a stream is in.
_HEADER = 2


class Body:
    """Collects a body and bounds its size, even while a small chunk decompresses to a large one.

    Attributes:
        unknown: the content encoding, if the check did not ask for it; the body is then not decompressed. Else empty.
        cut: whether the rest was left because the body is larger than its limit.
    """

    def __init__(self, limit: int, encoding: str) -> None:
        encoding = encoding.strip().lower()
        self._limit = limit
        self._content = bytearray()
        self._wbits = _WBITS.get(encoding)
        self._decoder = zlib.decompressobj(self._wbits) if self._wbits else None
        # The first bytes, while they are too few to tell the format.
        self._first: bytes | None = b""
        # Where the content of the current member begins.
        self._member_at = 0
        self.cut = False
        self.unknown = encoding if encoding not in ("", "identity") and self._wbits is None else ""

    @property
    def size(self) -> int:
        """Bytes so far, decompressed; one more than the limit stands for at least so many."""
        return min(len(self._content), self._limit + 1)

    def feed(self, chunk: bytes) -> None:
        """Accept bytes as they came over the wire. Once the body is `cut`, there is no use in more.

        Raises:
            EndingError: body_read_error, the body is not compressed as it says.
        """
        if self._decoder is None:
            self._content += chunk
        elif self._first is None:
            self._inflate(chunk)
        else:
            self._first += chunk
            if len(self._first) >= _HEADER:
                self._begin()
        self.cut = self.cut or len(self._content) > self._limit

    def finish(self) -> bytes:
        """The body, as far as its limit.

        Raises:
            EndingError: body_read_error, the compressed body ends in the middle.
        """
        if self._decoder is not None and not self.cut:
            if self._first:
                self._begin()
            if self._first is None and not self._decoder.eof and not self._lacks_its_trailer():
                raise EndingError(Reason.BODY_READ_ERROR, "the compressed body ends in the middle")
        return bytes(self._content[: self._limit])

    def _lacks_its_trailer(self) -> bool:
        """Whether all has come but the check sum, which browsers and curl do without."""
        assert self._decoder is not None
        member = self._content[self._member_at :]
        gzip = struct.pack("<II", zlib.crc32(member), len(member) & 0xFFFFFFFF)
        for trailer in (gzip, struct.pack(">I", zlib.adler32(member))):
            for sent in range(len(trailer)):
                decoder = self._decoder.copy()
                with contextlib.suppress(zlib.error):
                    decoder.decompress(trailer[sent:])
                    if decoder.eof:
                        return True
        return False

    def _begin(self) -> None:
        """Find out the format by trying."""
        first, self._first = self._first or b"", None
        try:
            zlib.decompressobj(self._wbits or 47).decompress(first[:_HEADER])
        except zlib.error:  # `deflate` means zlib, but some servers send the bare stream
            self._wbits = _RAW_DEFLATE_WBITS
            self._decoder = zlib.decompressobj(self._wbits)
        self._inflate(first)

    def _inflate(self, chunk: bytes) -> None:
        while chunk and len(self._content) <= self._limit:
            assert self._decoder is not None
            if self._decoder.eof:  # gzip may hold several members (RFC 1952, section 2.2)
                self._decoder = zlib.decompressobj(self._wbits or 47)
                self._member_at = len(self._content)
            try:
                self._content += self._decoder.decompress(chunk, self._limit + 1 - len(self._content))
            except zlib.error:
                raise EndingError(Reason.BODY_READ_ERROR, "the body is not compressed as it says") from None
            chunk = self._decoder.unconsumed_tail or self._decoder.unused_data


def excerpt(content: bytes, limit: int) -> str:
    """The first `limit` bytes as text for a person: line breaks and tabs stay, other control characters do not."""
    text = content[:limit].decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)[:limit]
