"""Results between the engine and Kafka: kept on disk until Kafka has acknowledged them."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import attrs
import structlog

from monitoring_core.clock import to_ms
from monitoring_core.codec import encode, encode_key
from monitoring_core.errors import OutageError
from monitoring_core.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring_core.clock import Clock
    from monitoring_core.result import CheckResult
    from producer_svc.metrics import Metrics
    from producer_svc.ports import Sender, Store

log = structlog.get_logger()

# Written together are the results of so long, or so many.
GROUP_S = 0.02
GROUP_ENTRIES = 1_000
# How many entries Kafka's client holds, and how many more wait in memory rather than in the file alone.
IN_FLIGHT = 10_000
IN_MEMORY = 10_000
# How many are held while the file cannot be written, and how soon that is tried again.
UNSAVED = 100_000
RETRY_S = 5.0
_DROP_SHARE = 100


class Entry(NamedTuple):
    """A result on its way.

    Attributes:
        id: ascending in the order of finishing.
        slot_ms: of the check.
        up: whether it is among those that are given up first.
    """

    id: int
    slot_ms: int
    key: bytes
    value: bytes
    up: bool


@attrs.define
class Outbox:
    """Takes finished results, saves them, hands them to Kafka, and forgets them when Kafka has acknowledged them.

    What the store cannot take stays in memory, and goes to Kafka from there. Past their bounds both give up the oldest
    results, those of websites that were up before all others; each one is counted.
    """

    _store: Store
    _sender: Sender
    _clock: Clock
    _metrics: Metrics
    _max_bytes: int
    # Told the slot of each result of this run that Kafka has, or that was given up.
    on_done: Callable[[int], None] = lambda _slot_ms: None
    _first_id: int = attrs.field(init=False)
    _ids: itertools.count[int] = attrs.field(init=False)
    # In memory: what is not saved yet, and what is not handed to Kafka yet; the latter always the newest.
    _unsaved: dict[int, Entry] = attrs.field(factory=dict, init=False)
    _unsent: deque[Entry] = attrs.field(factory=deque, init=False)
    _acknowledged: list[int] = attrs.field(factory=list, init=False)
    # Handed to Kafka, and not acknowledged, or still in the file.
    _in_flight: set[int] = attrs.field(factory=set, init=False)
    # All saved entries up to this one were handed to Kafka.
    _sent_id: int = attrs.field(default=0, init=False)
    # Whether the file may hold entries that are neither in memory nor handed to Kafka.
    _backlog: bool = attrs.field(default=True, init=False)
    _trouble: str | None = attrs.field(default=None, init=False)
    _next_save: float = attrs.field(default=0.0, init=False)
    _dropping: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        # From the clock on: what an earlier run left has lower ids, even where it cannot be read yet.
        self._first_id = max(self._store.last_id + 1, 1_000 * self._clock.now_ms())
        self._ids = itertools.count(self._first_id)
        if self._store.count:
            log.info("the outbox holds results of the last run, which are sent now", results=self._store.count)

    @property
    def waiting(self) -> int:
        """How many results Kafka has not acknowledged."""
        return max(0, self._store.count - len(self._acknowledged)) + len(self._unsaved)

    @property
    def unsaved(self) -> int:
        """How many of them are in memory alone."""
        return len(self._unsaved)

    @property
    def seconds_to_turn(self) -> float:
        """After how long the next turn should come: soon while there is something to save."""
        return GROUP_S if self._unsaved or self._acknowledged else float("inf")

    def put(self, result: CheckResult) -> None:
        """Take a finished result."""
        slot_ms = to_ms(result.scheduled_at)
        entry = Entry(next(self._ids), slot_ms, encode_key(result), encode(result), result.status is Status.UP)
        self._unsaved[entry.id] = entry
        self._unsent.append(entry)

    def turn(self) -> None:
        """Let acknowledgements in, save what is new, and hand over what is saved."""
        for entry in self._sender.take_acknowledged():
            self._done(entry.id, entry.slot_ms)
            if self._unsaved.pop(entry.id, None) is None:
                self._acknowledged.append(entry.id)
            else:
                self._in_flight.discard(entry.id)
        if (self._unsaved or self._acknowledged) and (
            self._clock.monotonic() >= self._next_save or (len(self._unsaved) >= GROUP_ENTRIES and not self._trouble)
        ):
            self._save()
        self._send()

    def flush(self, timeout_s: float) -> int:
        """Wait until Kafka has acknowledged everything, at most `timeout_s` seconds; how many results are left."""
        deadline = self._clock.monotonic() + timeout_s
        while self.waiting and (left_s := deadline - self._clock.monotonic()) > 0:
            self.turn()
            self._sender.wait(min(left_s, GROUP_S))
        self._next_save = 0.0
        self.turn()
        return self.waiting

    def close(self) -> None:
        """Close the file; what is left in it is sent at the next start."""
        self._store.close()

    def _save(self) -> None:
        self._next_save = self._clock.monotonic() + GROUP_S
        try:
            self._store.write(list(self._unsaved.values()), self._acknowledged)
            self._saved()
            self._keep_in_bound()
        except OutageError as error:
            self._next_save = self._clock.monotonic() + RETRY_S
            if self._trouble is None:
                log.error("the outbox cannot be written: results are in memory alone", error=str(error))
            self._trouble = str(error)
            self._drop_unsaved()

    def _saved(self) -> None:
        if self._trouble:
            log.info("the outbox is written again")
            # It may hold what could not be read before.
            self._sent_id, self._backlog = 0, True
        self._trouble = None
        self._unsaved.clear()
        self._in_flight.difference_update(self._acknowledged)
        self._acknowledged.clear()

    def _keep_in_bound(self) -> None:
        if self._store.used_bytes > self._max_bytes:
            self._drop_saved()
        else:
            self._dropping = False
        if len(self._unsent) > IN_MEMORY:
            self._unsent.clear()
            self._backlog = True

    def _send(self) -> None:
        room = IN_FLIGHT - self._sender.in_flight
        while self._backlog and room > 0:
            before = self._unsent[0].id if self._unsent else None
            try:
                entries = self._store.read(self._sent_id, before, min(room, GROUP_ENTRIES))
            except OutageError:
                break  # said by the next save, or read later
            for entry in entries:
                self._sent_id = entry.id
                if entry.id not in self._in_flight:
                    self._hand_over(entry)
            room = IN_FLIGHT - self._sender.in_flight
            self._backlog = bool(entries)
        while self._unsent and room > 0 and (self._trouble or not self._backlog):
            if self._trouble is None and self._unsent[0].id in self._unsaved:
                break
            entry = self._unsent.popleft()
            self._hand_over(entry)
            self._sent_id = max(self._sent_id, entry.id)
            room -= 1

    def _hand_over(self, entry: Entry) -> None:
        self._in_flight.add(entry.id)
        self._sender.send(entry)

    def _drop_saved(self) -> None:
        """Make room in the file: a hundredth of what it holds, of those that were not handed to Kafka yet."""
        dropped = self._store.drop(self._sent_id, max(1, self._store.count // _DROP_SHARE))
        # After trouble with the file, the sending begins at its start again, and passes by what Kafka's client has.
        lost = [(entry_id, slot_ms) for entry_id, slot_ms in dropped if entry_id not in self._in_flight]
        for entry_id, slot_ms in lost:
            self._done(entry_id, slot_ms)
        self._unsent.clear()
        self._backlog = True
        self._count_dropped(len(lost), "its file has reached monitor.outbox_max_size")

    def _drop_unsaved(self) -> None:
        over = len(self._unsaved) - UNSAVED
        if over <= 0:
            return
        over += UNSAVED // _DROP_SHARE
        waiting = [entry for entry in self._unsent if entry.id in self._unsaved]
        waiting.sort(key=lambda entry: not entry.up)
        dropped = {entry.id for entry in waiting[:over]}
        for entry_id in dropped:
            self._done(entry_id, self._unsaved.pop(entry_id).slot_ms)
        self._unsent = deque(entry for entry in self._unsent if entry.id not in dropped)
        self._count_dropped(len(dropped), "it cannot be written, and memory is bounded")

    def _done(self, entry_id: int, slot_ms: int) -> None:
        if entry_id >= self._first_id:
            self.on_done(slot_ms)

    def _count_dropped(self, results: int, why: str) -> None:
        self._metrics.dropped(results)
        if not self._dropping and results:
            log.error("the outbox is giving up its oldest results", why=why, results=results)
        self._dropping = True
