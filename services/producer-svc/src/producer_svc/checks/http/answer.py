"""Reads answers over HTTP/1.1 for the engine requests, as leniently as browsers, by the rules of the engine native."""

from __future__ import annotations

import http.client
import re
import ssl
from typing import TYPE_CHECKING, Any

from producer_svc.checks.http.head import MAX_BYTES, MAX_FIELDS, Head
from producer_svc.checks.http.progress import ConnectError, UnableError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_STATUS_LINE = re.compile(rb"HTTP/(\d+)(?:\.(\d+))? +(\d{3})(?:[ \t].*)?", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(rb"[^\x00-\x20\x7f:]+")
_HEX = re.compile(rb"[0-9A-Fa-f]+")
HTTP2_ALONE = "the website speaks HTTP/2 alone, which the engine requests does not; native does"
# What HTTP/2 begins with, whether it is asked for or not: SETTINGS (RFC 9113, section 3.4).
_SETTINGS = re.compile(rb"\x00..\x04", re.DOTALL)
# White space as the engine native has it: Python's own takes more bytes for such.
_SPACE = b" \t\n\f\r"
_PIECE = 64 * 1024
_MAX_SIZE_LINE = 16 * 1024


class BodyError(Exception):
    """The body does not come to its end."""


class LenientResponse(http.client.HTTPResponse):
    """An answer of which urllib3 takes the head, and whose body `pieces` reads.

    The base class refuses much that every browser reads, and takes the fields of an answer apart as those of a letter.

    Attributes:
        head: the status and the fields of the final answer.
    """

    head: Head

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._is_secure = isinstance(sock, ssl.SSLSocket)
        self._asked_for_head = kwargs.get("method") == "HEAD"
        # How many bytes of a head, or of trailers, are left to be read.
        self._left = MAX_BYTES

    def begin(self) -> None:
        """Read heads until one is final.

        Raises:
            ConnectError: what comes is not an answer.
        """
        self._left = MAX_BYTES
        while True:
            version, status = self._status_line()
            fields = self._fields()
            if not 100 <= status < 200 or status == 101:
                break
        self.head = Head(status, fields)
        self.code = self.status = status
        self.version, self.reason = (10 if version == (1, 0) else 11), ""
        self.headers = self.msg = http.client.HTTPMessage()
        self.chunked, self.will_close = False, True
        self.length = 0

    def pieces(self) -> Iterator[bytes]:
        """The body as it came, without the framing (RFC 9112, section 6.3).

        Raises:
            BodyError: it ends in the middle, or its chunks are malformed.
        """
        head = self.head
        if self._asked_for_head or head.status in (204, 304):
            return iter(())
        if head.is_chunked:
            return self._chunks()
        lengths = head.lengths
        return self._exactly(int(*lengths)) if lengths else self._rest()

    def _line(self) -> bytes:
        """A line without its end."""
        line = self.fp.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise ConnectError("the answer has too many headers, or too large ones")
        if not line.endswith(b"\n"):
            raise ConnectError("closed within the headers" if self._left < MAX_BYTES else "closed without an answer")
        return line[:-1].removesuffix(b"\r")

    def _status_line(self) -> tuple[tuple[int, int], int]:
        found = _STATUS_LINE.fullmatch(self._first_line())
        if found is None:
            raise ConnectError("the answer is not HTTP")
        return (int(found[1][:4]), int((found[2] or b"0")[:4])), int(found[3])

    def _first_line(self) -> bytes:
        """The first line that is not empty; what speaks something else may wait for more, but its first bytes tell."""
        begin = b""
        while len(begin) < 5 and not begin.endswith(b"\n"):
            byte = self.fp.read(1)
            begin = (begin + byte).lstrip(_SPACE)
            self._left -= 1
            if self._left < 0:
                raise ConnectError("the answer has too many headers, or too large ones")
            if not byte or not b"HTTP/".startswith(begin.upper()):
                break
        if not begin:
            raise ConnectError("closed without an answer")
        if begin == b"\0" and self._is_secure and _SETTINGS.match(begin + self.fp.read(3)):
            raise UnableError(HTTP2_ALONE)
        if not begin.upper().startswith(b"HTTP/"[: len(begin)]):
            raise ConnectError("the answer is not HTTP")
        return begin + self._line()

    def _fields(self) -> list[tuple[str, str]]:
        lines: list[bytes] = []
        while line := self._line():
            if line[:1] in (b" ", b"\t"):  # folded (RFC 9112, section 5.2)
                if not lines:
                    raise ConnectError("the answer is not HTTP: malformed header")
                lines[-1] += b" " + line.strip(_SPACE)
            else:
                lines.append(line)
            if len(lines) > MAX_FIELDS:
                raise ConnectError("the answer has too many headers, or too large ones")
        return [field for line in lines if (field := _field(line))]

    def _chunks(self) -> Iterator[bytes]:
        while size := self._size():
            yield from self._exactly(size, "ended within a chunk")
            if self._size_line():
                raise BodyError("the body's chunks are malformed")
        self._left = MAX_BYTES
        while line := self.fp.readline(self._left + 1):  # everything has come when the end of the trailers is missing
            self._left -= len(line)
            if self._left < 0:
                raise ConnectError("the answer has too many headers, or too large ones")
            if line in (b"\r\n", b"\n"):
                return

    def _size(self) -> int:
        digits = self._size_line().partition(b";")[0].strip(_SPACE)
        if not _HEX.fullmatch(digits) or len(digits.lstrip(b"0")) > 16:
            raise BodyError("the body's chunks are malformed")
        return int(digits, 16)

    def _size_line(self) -> bytes:
        line = self.fp.readline(_MAX_SIZE_LINE + 1)
        if line.endswith(b"\n"):
            return line[:-1].removesuffix(b"\r")
        raise BodyError("the body's chunks are malformed" if len(line) > _MAX_SIZE_LINE else "ended within a chunk")

    def _exactly(self, length: int, why: str = "") -> Iterator[bytes]:
        left = length
        while left:
            piece = self.fp.read1(min(left, _PIECE))
            if not piece:
                raise BodyError(why or f"ended after {length - left} of {length} bytes")
            left -= len(piece)
            yield piece

    def _rest(self) -> Iterator[bytes]:
        while piece := self.fp.read1(_PIECE):
            yield piece


def _field(line: bytes) -> tuple[str, str] | None:
    """Name and value; None if the name cannot be one, which browsers pass over."""
    name, colon, value = line.partition(b":")
    if not colon or b"\0" in name:
        raise ConnectError("the answer is not HTTP: malformed header")
    name = name.rstrip(_SPACE)
    if not _NAME.fullmatch(name):
        return None
    # A bare CR is read as a space (RFC 9112, section 2.2).
    return name.decode("latin-1").lower(), value.strip(_SPACE).replace(b"\r", b" ").decode("latin-1")
