"""The body of a response: decompressed as it comes, and never larger than its limit."""

from __future__ import annotations

import zlib

from monitoring_core.result import Reason
from producer_svc.checks.ending import EndingError

# Window bits for zlib: 47 takes gzip and zlib streams, a negative number the bare stream without a header.
_WBITS = {"gzip": 47, "x-gzip": 47, "deflate": 47}
_RAW_DEFLATE_WBITS = -15


class Body:
    """Collects a body and bounds its size, even while a small chunk decompresses to a large one.

    Attributes:
        unknown: the content encoding, if it is one that was not asked for; the body is then searched as it is.
    """

    def __init__(self, limit: int, encoding: str) -> None:
        encoding = encoding.strip().lower()
        self._limit = limit
        self._content = bytearray()
        self._wbits = _WBITS.get(encoding)
        self._decoder = zlib.decompressobj(self._wbits) if self._wbits else None
        self._begun = False
        self.unknown = encoding if encoding not in ("", "identity") and self._wbits is None else ""

    @property
    def size(self) -> int:
        """Bytes so far, decompressed."""
        return len(self._content)

    def feed(self, chunk: bytes) -> None:
        """Accept bytes as they came over the wire.

        Raises:
            EndingError: body_too_large or body_read_error.
        """
        if self._decoder is None:
            self._content += chunk
        else:
            try:
                self._inflate(chunk)
            except zlib.error:
                raise EndingError(Reason.BODY_READ_ERROR, "the body is not compressed as it says") from None
        if len(self._content) > self._limit:
            raise EndingError(Reason.BODY_TOO_LARGE, f"the body is larger than {self._limit} bytes")

    def finish(self) -> bytes:
        """The whole body.

        Raises:
            EndingError: body_read_error, the compressed body ends in the middle.
        """
        if self._decoder is not None and self._begun and not self._decoder.eof:
            raise EndingError(Reason.BODY_READ_ERROR, "the compressed body ends in the middle")
        return bytes(self._content)

    def _inflate(self, chunk: bytes) -> None:
        while chunk and len(self._content) <= self._limit:
            assert self._decoder is not None
            if self._decoder.eof:  # gzip may hold several members (RFC 1952, section 2.2)
                self._decoder = zlib.decompressobj(self._wbits or 47)
            try:
                self._content += self._decoder.decompress(chunk, self._limit + 1 - len(self._content))
            except zlib.error:
                if self._begun:
                    raise
                # `deflate` means zlib, but some servers send the bare stream.
                self._decoder = zlib.decompressobj(_RAW_DEFLATE_WBITS)
                self._content += self._decoder.decompress(chunk, self._limit + 1 - len(self._content))
            self._begun = True
            chunk = self._decoder.unconsumed_tail or self._decoder.unused_data


def excerpt(content: bytes, limit: int) -> str:
    """The first `limit` bytes as text for a person: line breaks and tabs stay, other control characters do not."""
    text = content[:limit].decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)[:limit]
