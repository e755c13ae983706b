"""Documents as they are sent: made once for all who ask, compressed once, and named so that nobody gets one twice."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring_core.clock import Clock
    from status_svc.pages.documents import Document
    from status_svc.pages.model import Board

# While nothing changes, a page says this long that it is as of then; its script hears of the time since.
_AGAIN_S = 10.0
# An older one is not sent while a newer one can be made.
_FRESH_S = 15.0


@attrs.frozen
class Body:
    """A document, plain and compressed, with its entity tag (RFC 9110, section 8.8.3)."""

    plain: bytes
    compressed: bytes
    etag: str
    media_type: str

    @property
    def size(self) -> int:
        """How much memory it takes, about."""
        return len(self.plain) + len(self.compressed)


@attrs.frozen
class _Kept:
    body: Body
    board: Board
    made_at: float


class Bodies:
    """The bodies that were asked for last. All methods belong to one event loop."""

    def __init__(self, clock: Clock, most_bytes: int = 64_000_000) -> None:
        """Args: most_bytes: how much memory they take, about."""
        self._clock = clock
        self._most_bytes = most_bytes
        self._kept: dict[str, _Kept] = {}
        self._making: dict[str, asyncio.Task[Body | None]] = {}
        self._bytes = 0

    async def get(self, key: str, board: Board, make: Callable[[], Document | None]) -> Body | None:
        """The body of a document; None when `make` makes none.

        While the next one is made, whoever asks gets the last one.

        Args:
            key: names the document.
            make: makes it from the board, in a thread.
        """
        kept = self._kept.get(key)
        now = self._clock.monotonic()
        if kept and now - kept.made_at < _AGAIN_S and _same(kept.board, board):
            # So that the next one who asks need not compare again.
            self._kept[key] = attrs.evolve(kept, board=board)
            return kept.body
        if key not in self._making:
            self._making[key] = asyncio.create_task(self._make(key, board, make))
        if kept and now - kept.made_at < _FRESH_S:
            return kept.body
        return await asyncio.shield(self._making[key])

    async def _make(self, key: str, board: Board, make: Callable[[], Document | None]) -> Body | None:
        try:
            made_at = self._clock.monotonic()
            body = await asyncio.to_thread(_made, make)
            if body is not None:
                self._keep(key, _Kept(body, board, made_at))
            return body
        finally:
            del self._making[key]

    def _keep(self, key: str, kept: _Kept) -> None:
        if (old := self._kept.pop(key, None)) is not None:
            self._bytes -= old.body.size
        self._kept[key] = kept
        self._bytes += kept.body.size
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            self._bytes -= self._kept.pop(next(iter(self._kept))).body.size


def body_of(document: Document) -> Body:
    """A document made ready to be sent."""
    compressed = gzip.compress(document.content, 6, mtime=0)
    return Body(
        document.content, compressed, f'"{hashlib.sha256(document.content).hexdigest()[:32]}"', document.media_type
    )


def _made(make: Callable[[], Document | None]) -> Body | None:
    document = make()
    return None if document is None else body_of(document)


def _same(one: Board, other: Board) -> bool:
    return one is other or (
        one.components == other.components and one.incidents == other.incidents and one.maintenance == other.maintenance
    )
