"""What changes, told to every open page as a server-sent event (HTML Standard, section 9.2), from one cache."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING

import attrs
import structlog

from status_svc.pages import rendering
from status_svc.pages.cache import NothingYetError
from status_svc.pages.shown import iso

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from status_svc.pages.cache import Cache
    from status_svc.pages.model import Board, Component

log = structlog.get_logger()
# So that a proxy does not take the connection for dead, and the page knows that nothing has changed.
_BEAT_S = 15.0
# A browser comes back after so long.
_AGAIN_MS = (3_000, 13_000)
MOST = 20_000


@attrs.frozen
class _Change:
    """One step: what is told to whoever knows the one before, and to everybody else."""

    number: int
    delta: bytes
    everything: bytes


class Stream:
    """The changes of one view. All methods belong to one event loop."""

    def __init__(self, cache: Cache, *, inner: bool) -> None:
        self._cache = cache
        self._inner = inner
        self._readers = 0
        self._watching: asyncio.Task[None] | None = None
        self._next = asyncio.Event()
        self._last: _Change | None = None
        self._told: dict[int, tuple[str, str]] = {}
        self._rest = ""

    @property
    def full(self) -> bool:
        """Whether there are as many readers as there may be."""
        return self._readers >= MOST

    async def events(self, lasts: Callable[[], bool] = lambda: True) -> AsyncIterator[bytes]:
        """The events for one page, until it leaves; the first one has everything.

        Args:
            lasts: whether the page may still hear them; asked before each, and one comes every few seconds.
        """
        self._readers += 1
        try:
            if self._watching is None:
                self._watching = asyncio.create_task(self._watch())
            # Not all at once after a restart.
            yield f"retry: {random.randrange(*_AGAIN_MS)}\n\n".encode()  # noqa: S311 (no secret)
            known = None
            while lasts():
                following = self._next
                if (last := self._last) is not None and last.number != known:
                    yield last.delta if last.number - 1 == known else last.everything
                    known = last.number
                else:
                    await following.wait()
        finally:
            self._readers -= 1
            if not self._readers and self._watching is not None:
                self._watching.cancel()
                self._watching, self._last = None, None

    async def _watch(self) -> None:
        since_beat = 0.0
        while True:
            try:
                board = (await self._cache.current()).of(self._inner)
                changed = self._changed(board.components)
                rest, self._rest = self._rest, rendering.told(board)
                if changed or rest != self._rest or self._last is None or since_beat >= _BEAT_S:
                    self._tell(board, changed)
                    since_beat = 0.0
            except NothingYetError:
                pass
            except Exception:  # the next look may succeed, and the pages that are open wait for it
                log.exception("pages that are open could not be told what has changed")
            await asyncio.sleep(self._cache.every_s)
            since_beat += self._cache.every_s

    def _changed(self, components: Iterable[Component]) -> list[Component]:
        states = {one.id: (str(one.state), one.state.words) for one in components}
        changed = [one for one in components if self._told.get(one.id) != states[one.id]]
        self._told = states
        return changed

    def _tell(self, board: Board, changed: list[Component]) -> None:
        number = self._last.number + 1 if self._last else 1
        names = {"told": self._rest, "states": rendering.states(board)}
        self._last = _Change(number, _event(board, changed, names), _event(board, board.components, names))
        self._next, before = asyncio.Event(), self._next
        before.set()


def _event(board: Board, components: Iterable[Component], names: dict[str, str]) -> bytes:
    summary = rendering.summary(board.components)
    data = {
        "at": iso(board.at),
        "summary": [summary.state, summary.words],
        "components": [[one.id, one.state, one.state.words] for one in components],
    } | names
    return f"event: state\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
