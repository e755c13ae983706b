"""The last board, read anew at most as often as status.cache says, however many ask for it.

Whoever asks gets the last one at once, and the next one is read meanwhile; after a time in which nobody asked, the
first one waits. While PostgreSQL is away the last board is shown with its moment, and after a minute nothing in it
counts as up any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs
import structlog

from monitoring_core.clock import from_ms
from monitoring_core.errors import OutageError
from status_svc.pages import joining
from status_svc.pages.lookups import Lookups
from status_svc.pages.model import MOST_TARGETS, Board, State, public

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Awaitable, Callable, Sequence

    from monitoring_core.clock import Clock
    from monitoring_core.config import StatusConfig
    from status_svc.pages.detail import Detail
    from status_svc.pages.model import Component, Seen
    from status_svc.pages.queries import Queries, Row

T = TypeVar("T")
log = structlog.get_logger()
# Roll-ups change when maintain has run, incidents with them.
_DAYS_EVERY_S = _CHOSEN_EVERY_S = 60.0
_INCIDENTS_EVERY_S = 5.0
# A board that is older by this is not shown while a newer one can be had.
_LATE_S = 2.0
# A database for which reading is work gets at least four times as long to rest.
_REST = 4
_OLD_S = 60.0
_DETAILS = 200
# Each of them reads all targets once.
_SEARCHES = 20


class NothingYetError(Exception):
    """PostgreSQL was never reached, so there is nothing to show."""


@attrs.frozen
class Both:
    """A board as it is, and what the public sees of it."""

    inner: Board
    public: Board

    def of(self, inner: bool) -> Board:
        """One of them."""
        return self.inner if inner else self.public


@attrs.define
class _Kept(Generic[T]):
    """What was read last, and when it is due again."""

    value: T
    due: float = float("-inf")


class Cache:
    """The boards of this process. All methods belong to one event loop."""

    def __init__(self, queries: Queries, clock: Clock, settings: StatusConfig) -> None:
        self._queries = queries
        self._clock = clock
        self._settings = settings
        self._every_s = settings.cache.total_seconds()
        self._last: Both | None = None
        self._read_at = self._due = float("-inf")
        # Why the last read failed; None when it did not.
        self._failure: str | None = None
        self._reading: asyncio.Task[None] | None = None
        self._chosen: _Kept[list[int] | None] = _Kept(None)
        self._days = _Kept(joining.Days())
        self._incidents: _Kept[list[Row]] = _Kept([])
        self._notes: _Kept[list[Row]] = _Kept([])
        self._windows: _Kept[list[Row]] = _Kept([])
        self._details: Lookups[Detail] = Lookups(clock, self._every_s, _DETAILS)
        self._further: Lookups[Board] = Lookups(clock, self._every_s, _DETAILS)
        self._searches: Lookups[list[int]] = Lookups(clock, self._every_s, _SEARCHES)
        self._one_at_a_time = asyncio.Lock()

    @property
    def every_s(self) -> float:
        """How often there may be a new board."""
        return self._every_s

    async def current(self) -> Both:
        """The last board.

        Raises:
            NothingYetError: there was none yet, and PostgreSQL cannot be read.
        """
        now = self._clock.monotonic()
        if now >= self._due and self._reading is None:
            self._reading = asyncio.create_task(self._read())
        too_old = now - self._read_at > self._every_s + _LATE_S and self._failure is None
        if self._reading is not None and (self._last is None or too_old):
            await asyncio.shield(self._reading)
        if self._last is None:
            raise NothingYetError
        return self._last

    async def read(self) -> Both:
        """A board that is read now.

        Raises:
            OutageError: PostgreSQL cannot be read.
        """
        return await self._board(self._now())

    async def detail(self, target_id: int) -> Detail:
        """What only the page of one target shows, read no more often for each target.

        Raises:
            OutageError: PostgreSQL cannot be read, or too many targets are looked at.
        """
        return await self._details.get(target_id, lambda: self._read_detail(target_id))

    async def further(self, targets: tuple[int, ...]) -> Board:
        """A board of some of the targets that boards leave out, read no more often for each choice of them.

        Raises:
            OutageError: as for `detail`.
        """
        return await self._further.get(targets, lambda: self._read_further(list(targets)))

    async def search(self, words: Sequence[str]) -> Board:
        """A board of the targets that boards leave out and that have these words, read no more often for the same ones.

        Raises:
            OutageError: as for `detail`.
        """
        found = await self._searches.get(tuple(words), lambda: self._read_found(words))
        return await self.further(tuple(found)) if found else Board(at=self._now())

    async def _read_detail(self, target_id: int) -> Detail:
        return joining.detail(*await self._queries.of_target(target_id, self._now()))

    async def _read_further(self, targets: list[int]) -> Board:
        now = self._now()
        status = await self._queries.status(targets)
        days = await self._read_days(now, targets)
        incidents = await self._queries.incidents(now, targets)
        lists = (incidents, self._notes.value, self._windows.value)
        return await asyncio.to_thread(self._joined, now, status, days, *lists)

    async def _read_found(self, words: Sequence[str]) -> list[int]:
        kept = self._chosen.value or []
        # So that no more than one of the connections is taken.
        async with self._one_at_a_time:
            return await self._queries.found(words, self._settings.public_labels, kept[-1] if kept else 0)

    async def _read(self) -> None:
        began = self._clock.monotonic()
        try:
            now = self._now()
            self._last = await self._board(now)
            self._read_at = self._clock.monotonic()
            if self._failure is not None:
                log.info("pages are current again")
            self._failure = None
        except Exception as error:  # whatever it is, pages show what was read last
            known, self._failure = self._failure == str(error), str(error)
            if isinstance(error, OutageError) and not known:
                log.warning("pages show what was read last", error=str(error))
            elif not known:
                log.exception("pages show what was read last")
            if self._last is not None and self._clock.monotonic() - self._read_at > _OLD_S:
                self._last = Both(_stale(self._last.inner), _stale(self._last.public))
        finally:
            ended = self._clock.monotonic()
            self._due = max(began + self._every_s, ended + _REST * (ended - began))
            self._reading = None

    async def _board(self, now: dt.datetime) -> Both:
        began = self._clock.monotonic()
        wanted = self._settings.public_labels
        await self._renew(self._chosen, began, _CHOSEN_EVERY_S, lambda: self._queries.chosen(wanted))
        targets = self._chosen.value
        status = await self._queries.status(targets)
        await self._renew(self._days, began, _DAYS_EVERY_S, lambda: self._read_days(now, targets))
        await self._renew(self._incidents, began, _INCIDENTS_EVERY_S, lambda: self._queries.incidents(now, targets))
        await self._renew(self._notes, began, _INCIDENTS_EVERY_S, lambda: self._queries.notes(now))
        await self._renew(self._windows, began, _INCIDENTS_EVERY_S, self._queries.windows)
        lists = (self._incidents.value, self._notes.value, self._windows.value)
        # Beside the event loop, which answers meanwhile.
        return await asyncio.to_thread(self._join, now, status, self._days.value, *lists)

    def _join(self, now: dt.datetime, status: list[Row], days: joining.Days, *lists: list[Row]) -> Both:
        inner = self._joined(now, status, days, *lists)
        chosen, outer = self._chosen.value, public(inner, self._settings.public_labels)
        # The public lacks something only where those that it may see are too many themselves.
        is_full = chosen is not None and len(chosen) >= MOST_TARGETS
        return Both(attrs.evolve(inner, left_out=chosen is not None), attrs.evolve(outer, left_out=is_full))

    def _joined(self, now: dt.datetime, status: list[Row], days: joining.Days, *lists: list[Row]) -> Board:
        incidents, notes, windows = lists
        labels = {"name_label": self._settings.name_label, "group_label": self._settings.group_label}
        return joining.board(now, status, days, incidents, notes, windows, **labels)

    async def _read_days(self, now: dt.datetime, targets: list[int] | None) -> joining.Days:
        return joining.Days(await self._queries.days(now, targets), now)

    async def _renew(
        self, kept: _Kept[T], board_began: float, every_s: float, read: Callable[[], Awaitable[T]]
    ) -> None:
        """Read what is due. It is due from one board to another: what comes first in a board may take longer or not."""
        if board_began >= kept.due:
            began = self._clock.monotonic()
            kept.value = await read()
            ended = self._clock.monotonic()
            kept.due = max(board_began + every_s, ended + 5 * _REST * (ended - began))

    def _now(self) -> dt.datetime:
        return from_ms(self._clock.now_ms())

    async def close(self) -> None:
        """Let a read that is under way end."""
        looked_up = (*self._details.tasks, *self._further.tasks, *self._searches.tasks)
        tasks = [task for task in (self._reading, *looked_up) if task is not None]
        with contextlib.suppress(Exception):
            await asyncio.gather(*tasks, return_exceptions=True)


def _stale(board: Board) -> Board:
    components = tuple(
        one if one.state is State.PAUSED else attrs.evolve(one, state=State.STALE, known=0, seen=_all_stale(one))
        for one in board.components
    )
    return attrs.evolve(board, components=components)


def _all_stale(component: Component) -> tuple[Seen, ...]:
    return tuple(attrs.evolve(one, stale=True) for one in component.seen)
