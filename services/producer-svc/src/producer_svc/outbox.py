"""Results between the engine and Kafka: kept on disk until Kafka has acknowledged them."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING

import attrs
import structlog

from monitoring_core.clock import to_ms
from monitoring_core.codec import encode, encode_key
from monitoring_core.errors import OutageError
from monitoring_core.result import Status
from monitoring_runtime.retry import DISK, Backoff
from producer_svc.outbox_entries import OutboxBatch, OutboxEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring_core.clock import Clock
    from monitoring_core.result import CheckResult
    from producer_svc.metrics import Metrics
    from producer_svc.ports import Sender, Store

log = structlog.get_logger()

# Save after GROUP_S seconds or about GROUP_ENTRIES results. A batch has at most GROUP_ENTRIES.
GROUP_S = 0.1
GROUP_ENTRIES = 1_000
# After how many seconds a flush that has nothing to save removes what Kafka has acknowledged.
REMOVE_S = 1.0
# How long `send_all` waits for acknowledgements before it looks again.
_LOOK_S = 0.02
# About how many entries Kafka's client holds at most, and up to how many saved entries wait for it in memory, too.
IN_FLIGHT = 10_000
IN_MEMORY = 10_000
# How many batches of the file one flush reads.
READ_TOGETHER = 100
# At most how many results are held in memory alone while the file cannot be written.
UNSAVED = 100_000
# When there is no room, one DROP_SHARE-th of the results is dropped at once.
DROP_SHARE = 100


@attrs.define
class Outbox:
    """Accepts results, saves them, hands them to Kafka, and forgets them when Kafka has acknowledged them.

    While the store cannot be written, results stay in memory and go to Kafka from there. When the store or the memory
    is full, the oldest results are dropped, up ones before others, and each is counted.
    """

    _store: Store
    _sender: Sender
    _clock: Clock
    _metrics: Metrics
    _max_bytes: int
    # Called with the slot (milliseconds since the epoch) of each result of this run that is acknowledged or dropped.
    _on_done: Callable[[int], None]
    # Batches of this run have this id or a higher one.
    _first_id: int = attrs.field(init=False)
    _ids: itertools.count[int] = attrs.field(init=False)
    # The entries that are not saved, oldest first; and the unsaved ones that are not handed to Kafka either.
    _unsaved: dict[OutboxEntry, None] = attrs.field(factory=dict, init=False)
    _fresh: deque[OutboxEntry] = attrs.field(factory=deque, init=False)
    # The newest saved batches that are not handed to Kafka yet; older ones may be in the file alone.
    _unsent: deque[OutboxBatch] = attrs.field(factory=deque, init=False)
    # The batches handed to Kafka and still in the file, by id; and the ids of those that Kafka has acknowledged whole.
    _handed: dict[int, OutboxBatch] = attrs.field(factory=dict, init=False)
    _finished: list[int] = attrs.field(factory=list, init=False)
    # How many entries in the file Kafka has acknowledged.
    _acknowledged: int = attrs.field(default=0, init=False)
    # All batches up to this one were handed to Kafka.
    _sent_id: int = attrs.field(default=0, init=False)
    # Whether the file may hold batches that are neither in memory nor handed to Kafka.
    _backlog: bool = attrs.field(default=True, init=False)
    _trouble: str | None = attrs.field(default=None, init=False)
    _next_save: float = attrs.field(default=0.0, init=False)
    _backoff: Backoff = attrs.field(factory=DISK.backoff, init=False)
    _dropping: bool = attrs.field(default=False, init=False)
    # How many bytes were saved since the store said how many it takes.
    _unmeasured: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Ids begin at the clock's microseconds: batches of earlier runs have lower ids, even if not readable yet.
        self._first_id = max(self._store.last_id + 1, 1_000 * self._clock.now_ms())
        self._ids = itertools.count(self._first_id)
        self._unmeasured = self._max_bytes
        if self._store.count:
            log.info("the outbox holds results of the last run, which are sent now", results=self._store.count)

    @property
    def waiting(self) -> int:
        """How many results Kafka has not acknowledged."""
        return max(0, self._store.count - self._acknowledged) + len(self._unsaved)

    @property
    def unsaved(self) -> int:
        """How many results are in memory alone."""
        return len(self._unsaved)

    @property
    def outage(self) -> str | None:
        """Why results do not get to Kafka; None while they do, and in the first minute of most outages."""
        return self._sender.outage

    def put(self, result: CheckResult) -> None:
        """Accept a finished result."""
        up = result.status is Status.UP
        entry = OutboxEntry(to_ms(result.scheduled_at), encode_key(result), encode(result), up)
        self._unsaved[entry] = None
        self._fresh.append(entry)

    def flush(self) -> None:
        """Record what Kafka has acknowledged, save what is new, and hand over what is saved."""
        for entry in self._sender.drain_acknowledged():
            self._note_acknowledged(entry)
        if self._unsaved or self._finished:
            late_s = self._clock.monotonic() - self._next_save
            if late_s >= (0.0 if self._unsaved else REMOVE_S) or (
                len(self._unsaved) >= GROUP_ENTRIES and not self._trouble
            ):
                self._save()
        self._send()

    def send_all(self, timeout_s: float) -> int:
        """Wait until Kafka has acknowledged everything, at most `timeout_s` seconds; returns how many are left."""
        deadline = self._clock.monotonic() + timeout_s
        while self.waiting and (left_s := deadline - self._clock.monotonic()) > 0:
            self.flush()
            self._sender.wait(min(left_s, _LOOK_S))
        self._next_save = -REMOVE_S
        self.flush()
        return self.waiting

    def close(self) -> None:
        """Close the file; what is left in it is sent at the next start."""
        self._store.close()

    def _note_acknowledged(self, entry: OutboxEntry) -> None:
        if not entry.batch:
            del self._unsaved[entry]
            self._on_done(entry.slot_ms)
            return
        self._acknowledged += 1
        batch = self._handed[entry.batch]
        batch.unacknowledged -= 1
        if not batch.unacknowledged:
            self._finished.append(batch.id)
        if batch.id >= self._first_id:
            self._on_done(entry.slot_ms)

    def _save(self) -> None:
        self._next_save = self._clock.monotonic() + GROUP_S
        batches = self._grouped()
        try:
            self._store.write(batches, self._finished)
            self._note_saved(batches)
            self._keep_in_bound()
        except OutageError as error:
            self._next_save = self._clock.monotonic() + self._backoff.next()
            if self._trouble is None:
                log.error("the outbox cannot be written: results are in memory alone", error=str(error))
            self._trouble = str(error)
            self._drop_unsaved()

    def _grouped(self) -> list[OutboxBatch]:
        """The unsaved entries in batches; the entries of a batch agree in being up, and in being handed to Kafka."""
        groups: dict[tuple[bool, bool], list[list[OutboxEntry]]] = {}
        for entry in self._unsaved:
            lists = groups.setdefault((entry.up, entry.handed), [[]])
            if len(lists[-1]) == GROUP_ENTRIES:
                lists.append([])
            lists[-1].append(entry)
        return [
            OutboxBatch(next(self._ids), up, entries, len(entries))
            for (up, _), lists in groups.items()
            for entries in lists
        ]

    def _note_saved(self, batches: list[OutboxBatch]) -> None:
        if self._trouble:
            log.info("the outbox is written again")
            self._backoff.reset()
            # The file may hold batches that could not be read before.
            self._sent_id, self._backlog = 0, True
        self._trouble = None
        self._unsaved.clear()
        self._fresh.clear()
        for batch in batches:
            for entry in batch.entries:
                entry.batch = batch.id
                self._unmeasured += len(entry.value)
            if batch.entries[0].handed:
                self._note_handed(batch)
            else:
                self._unsent.append(batch)
        for batch_id in self._finished:
            self._acknowledged -= self._handed.pop(batch_id).size
        self._finished.clear()

    def _keep_in_bound(self) -> None:
        # To ask the store costs as much as to write to it.
        if self._dropping or self._unmeasured >= self._max_bytes // DROP_SHARE:
            self._unmeasured = 0
            if self._store.used_bytes > self._max_bytes:
                self._drop_saved()
            else:
                self._dropping = False
        if sum(batch.size for batch in self._unsent) > IN_MEMORY:
            self._unsent.clear()
            self._backlog = True

    def _send(self) -> None:
        if self._backlog:
            self._send_backlog()
        while self._unsent and self._has_room and (self._trouble or not self._backlog):
            self._hand_over(self._unsent.popleft())
        while self._trouble and self._fresh and self._has_room:
            entry = self._fresh.popleft()
            entry.handed = True
            self._sender.send(entry)

    def _send_backlog(self) -> None:
        before = self._unsent[0].id if self._unsent else None
        for _ in range(READ_TOGETHER):
            if not self._has_room:
                return
            try:
                batch = self._store.first(self._sent_id, before)
            except OutageError:
                return  # the next save reports the trouble; a later flush reads again
            if batch is None:
                self._backlog = False
                return
            self._hand_over(batch)

    @property
    def _has_room(self) -> bool:
        return self._sender.in_flight < IN_FLIGHT

    def _hand_over(self, batch: OutboxBatch) -> None:
        self._sent_id = batch.id
        if batch.id in self._handed:  # after trouble, the file is read from its start again
            return
        for entry in batch.entries:
            self._sender.send(entry)
        if not batch.entries:
            log.error("a batch of the outbox is damaged: its results are lost", results=batch.size)
            self._metrics.dropped(batch.size)
            self._acknowledged += batch.size
            self._finished.append(batch.id)
        self._note_handed(batch)

    def _note_handed(self, batch: OutboxBatch) -> None:
        self._handed[batch.id] = batch
        batch.entries = ()

    def _drop_saved(self) -> None:
        """Make room in the file: drop a share of its results, from those that are not handed to Kafka yet."""
        dropped = self._store.drop(self._sent_id, max(1, self._store.count // DROP_SHARE))
        lost = [batch for batch in dropped if batch.id not in self._handed]
        for batch in lost:
            if batch.id >= self._first_id:
                for entry in batch.entries:
                    self._on_done(entry.slot_ms)
        self._unsent.clear()
        self._backlog = True
        self._count_dropped(sum(batch.size for batch in lost), "its file has reached monitor.outbox_max_size")

    def _drop_unsaved(self) -> None:
        """Make room in memory in the same way, when there are too many results."""
        over = len(self._unsaved) - UNSAVED
        if over <= 0:
            return
        over += UNSAVED // DROP_SHARE
        dropped = sorted(self._fresh, key=lambda entry: not entry.up)[:over]
        for entry in dropped:
            del self._unsaved[entry]
            self._on_done(entry.slot_ms)
        self._fresh = deque(entry for entry in self._fresh if entry in self._unsaved)
        self._count_dropped(len(dropped), "it cannot be written, and memory is bounded")

    def _count_dropped(self, results: int, why: str) -> None:
        self._metrics.dropped(results)
        if not self._dropping and results:
            log.error("the outbox is giving up its oldest results", why=why, results=results)
        self._dropping = True
