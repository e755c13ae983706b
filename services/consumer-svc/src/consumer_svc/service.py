"""The loop of a consumer: receive and decode the next batch while the last one is being written."""

from __future__ import annotations

from concurrent.futures import wait
from typing import TYPE_CHECKING

import attrs
import structlog

from consumer_svc.batch import Batch
from consumer_svc.delivery import GivenUpError
from consumer_svc.placement import Placement
from consumer_svc.ports import BehindError
from monitoring_runtime.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from concurrent.futures import Future

    from consumer_svc.delivery import Delivery
    from consumer_svc.ports import Source
    from monitoring_core.clock import Clock
    from monitoring_runtime.health import Health
    from monitoring_runtime.stop import Stop
    from monitoring_runtime.topics import Received

log = structlog.get_logger()

POLL_S = 0.1
POLL_ROWS = 1_000
# A batch is also full with this many bytes of values, so that many large messages do not take all the memory.
MAX_BATCH_BYTES = 64 << 20
# When partitions are revoked, how long a write may keep the group waiting.
REVOKE_WAIT_S = 5.0
# How long a full batch waits for the last write before fetching is paused. A paused librdkafka throws away what it has
# fetched, so a write of ordinary length must not cause a pause.
PATIENCE_S = 1.0
# After how long /readyz reports that a write takes long.
SLOW_WRITE_S = 10.0


@attrs.define
class ConsumerService:
    """Holds at most two batches: one being gathered, one being delivered.

    Attributes:
        max_rows: how many messages make a batch full.
        max_age_s: how long a batch that is not full waits for more messages.
        shutdown_timeout_s: how long a stop waits for the batches in hand.
    """

    source: Source
    delivery: Delivery
    clock: Clock
    health: Health
    max_rows: int
    max_age_s: float
    shutdown_timeout_s: float
    placement: Placement = attrs.field(init=False)
    _pending: Batch | None = attrs.field(default=None, init=False)
    # The batch that is being delivered; None beside other work with the database, which takes a batch's place.
    _in_hand: tuple[Batch | None, Future[None]] | None = attrs.field(default=None, init=False)
    _paused: bool = attrs.field(default=False, init=False)
    _consuming: bool = attrs.field(default=False, init=False)
    _handed_over: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.placement = Placement(self.source, self.delivery, self.clock)

    def run(self, stop: Stop) -> None:
        """Work until a stop is requested, then finish in order."""
        # Messages wait until the database is ready.
        self._begin(None, self.delivery.prepare)
        try:
            self.source.subscribe(self.placement.assign, self.drop)
            while not stop.requested:
                self.run_once(POLL_S)
            self._finish()
        finally:
            self.source.close()
        log.info("stopped", **self.delivery.metrics.totals())

    def run_once(self, timeout_s: float) -> None:
        """One iteration: receive messages, hand over a batch that is ready, commit a batch that is delivered."""
        self.health.beat()
        self._note_readiness()
        if self._room() <= 0 and self._in_hand:
            wait([self._in_hand[1]], timeout_s if self._paused else PATIENCE_S)
            timeout_s = 0
            self._advance()
        room = self._room()
        self._pause(room <= 0)
        if messages := self.source.poll(min(max(room, 1), POLL_ROWS), timeout_s):
            self._add(messages)
        self._advance()

    def drop(self, partitions: Collection[int]) -> None:
        """Give up partitions. A batch that is being delivered may finish; their next owner gets the rest again."""
        self._drop_pending(partitions)
        if self._in_hand and self._in_hand[0]:
            wait([self._in_hand[1]], REVOKE_WAIT_S)
            self._commit(self._pop_delivered())
        self.placement.revoke(partitions)
        batch, future = self._in_hand or (None, None)
        if batch and future:
            kept = {number: span for number, span in batch.spans.items() if number not in partitions}
            self._in_hand = (attrs.evolve(batch, spans=kept), future)

    def _drop_pending(self, partitions: Collection[int]) -> None:
        if self._pending:
            self._pending.drop(partitions)
            self._pending = self._pending or None  # no batch in place of an empty one

    def _add(self, messages: Sequence[Received]) -> None:
        if self._pending is None:
            self._pending = Batch(self.clock.monotonic(), self.placement.topic, self.placement.read)
        self._pending.add(messages)
        if self._pending.set_back:
            self._restart(self._pending.set_back)

    def _restart(self, set_back: Collection[int] = ()) -> None:
        """Give up what was received and is not in hand, and find out again from where partitions are read."""
        self._pending = None
        self.placement.restart(set_back)

    def _note_readiness(self) -> None:
        if self.source.assigned and not self._consuming:
            log.info("consuming")
        self._consuming = self.source.assigned
        idle = None if self._consuming else "no partition is assigned"
        why = self.delivery.outage or self.source.outage or idle
        if why is None and self._in_hand and (for_s := self.clock.monotonic() - self._handed_over) > SLOW_WRITE_S:
            why = f"a batch has been on its way into the database for {for_s:.0f} s"
        why = why or self.delivery.too_much_poison
        if why:
            self.health.set_not_ready(why)
        else:
            self.health.set_ready()

    def _room(self) -> int:
        """How many more messages the pending batch has room for."""
        if self._pending is None:
            return self.max_rows
        return self.max_rows - len(self._pending) if self._pending.size_bytes < MAX_BATCH_BYTES else 0

    def _is_ready(self, batch: Batch) -> bool:
        return self._room() <= 0 or self.clock.monotonic() - batch.began >= self.max_age_s

    def _pause(self, paused: bool) -> None:
        if paused != self._paused:
            self.source.pause(paused)
            self._paused = paused

    def _hand_over(self) -> None:
        batch, self._pending = self._pending, None
        if batch:
            self._begin(batch, lambda: self.delivery.deliver(batch))

    def _begin(self, batch: Batch | None, work: Callable[[], None]) -> None:
        self._handed_over = self.clock.monotonic()
        self._in_hand = (batch, in_background("delivery", work))

    def _advance(self) -> None:
        """When the last batch is delivered, hand over the next one if it is ready, and commit the last."""
        delivered = self._pop_delivered()
        if self._in_hand is None:
            if self.placement.due:
                self._begin(None, self.placement.look())
            elif self._pending and self._is_ready(self._pending):
                self._hand_over()
        self._commit(delivered)

    def _commit(self, offsets: Mapping[int, int]) -> None:
        if offsets:
            self.source.commit(offsets)

    def _pop_delivered(self) -> Mapping[int, int]:
        """Remove the batch in hand if all of it is delivered, and return its offsets to commit; else return none."""
        if self._in_hand is None or not self._in_hand[1].done():
            return {}
        (batch, future), self._in_hand = self._in_hand, None
        try:
            future.result()
        except BehindError:
            self._restart()
            return {}
        if void := self.placement.settle():
            self._drop_pending(void)
        if batch is None:
            return {}
        self.delivery.metrics.batch_age.observe(self.clock.monotonic() - batch.began)
        delivered = {number: span.end for number, span in batch.spans.items()}
        self.placement.stored(delivered)
        return delivered

    def _finish(self) -> None:
        """Deliver both batches within the time allowed; Kafka delivers again what is left."""
        self.health.set_not_ready("stopping")
        self.delivery.given_up.set()
        deadline = self.clock.monotonic() + self.shutdown_timeout_s
        try:
            while self._in_hand or self._pending:
                if self._in_hand is None:
                    self._hand_over()
                if self._in_hand:
                    _wait_for(self._in_hand[1], deadline - self.clock.monotonic())
                self._commit(self._pop_delivered())
        except GivenUpError:
            log.warning("stopped with messages that are not stored: they will be delivered again")
        finally:
            self._pending = None
            self._in_hand = None


def _wait_for(future: Future[None], timeout_s: float) -> None:
    """Wait until a delivery is done.

    Raises:
        GivenUpError: it is not done in time.
    """
    wait([future], max(0.0, timeout_s))
    if not future.done():
        raise GivenUpError
