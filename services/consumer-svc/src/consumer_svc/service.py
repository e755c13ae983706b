"""The loop of a consumer: receive and decode the next batch while the last one is being written."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import attrs
import structlog

from consumer_svc.batch import Batch
from consumer_svc.delivery import GivenUpError

if TYPE_CHECKING:
    from consumer_svc.delivery import Delivery
    from consumer_svc.ports import Source
    from monitoring_core.clock import Clock
    from monitoring_runtime.health import Health
    from monitoring_runtime.stop import Stop

log = structlog.get_logger()

POLL_S = 0.1
REVOKE_WAIT_S = 5.0


@attrs.define
class ConsumerService:
    """Holds at most two batches: one being gathered, one being delivered."""

    source: Source
    delivery: Delivery
    clock: Clock
    health: Health
    max_rows: int
    max_age_s: float
    shutdown_timeout_s: float
    _pending: Batch | None = attrs.field(default=None, init=False)
    _in_hand: tuple[Batch, Future[None]] | None = attrs.field(default=None, init=False)
    _paused: bool = attrs.field(default=False, init=False)
    _consuming: bool = attrs.field(default=False, init=False)
    _worker: ThreadPoolExecutor = attrs.field(
        factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="delivery"), init=False
    )

    def run(self, stop: Stop) -> None:
        """Work until `stop`, then end in order."""
        self.source.subscribe(self.drop)
        while not stop.requested:
            self.run_once(POLL_S)
        self._finish()

    def run_once(self, timeout_s: float) -> None:
        """One turn: receive, hand over a batch that is ready, commit one that is delivered."""
        self.health.beat()
        self._note_assignment()
        room = self.max_rows - (len(self._pending) if self._pending else 0)
        self._pause(room <= 0)
        for message in self.source.poll(max(room, 1), timeout_s):
            if self._pending is None:
                self._pending = Batch(self.clock.monotonic())
            self._pending.add(message)
        self._commit_delivered()
        if self._pending and self._in_hand is None and self._is_ready(self._pending):
            self._hand_over()

    def drop(self) -> None:
        """Give up partitions: what is being delivered may finish, the rest is for whoever gets them next."""
        self._pending = None
        if self._in_hand:
            wait([self._in_hand[1]], REVOKE_WAIT_S)
            self._commit_delivered()
        if self._in_hand:
            batch, future = self._in_hand
            self._in_hand = (attrs.evolve(batch, offsets={}), future)

    def _note_assignment(self) -> None:
        if self.source.assigned != self._consuming:
            self._consuming = self.source.assigned
            if self._consuming:
                self.health.set_ready()
                log.info("consuming")
            else:
                self.health.set_not_ready("no partition is assigned")

    def _is_ready(self, batch: Batch) -> bool:
        return len(batch) >= self.max_rows or self.clock.monotonic() - batch.began >= self.max_age_s

    def _pause(self, paused: bool) -> None:
        if paused != self._paused:
            self.source.pause(paused)
            self._paused = paused

    def _hand_over(self) -> None:
        batch, self._pending = self._pending, None
        if batch:
            self._in_hand = (batch, self._worker.submit(self.delivery.deliver, batch))

    def _commit_delivered(self) -> None:
        """Commit the offsets of a batch once all of it is stored, and not before."""
        if self._in_hand is None or not self._in_hand[1].done():
            return
        (batch, future), self._in_hand = self._in_hand, None
        future.result()
        if batch.offsets:
            self.source.commit(batch.offsets)

    def _finish(self) -> None:
        """Write what is in hand, within the time allowed; what is not written will be delivered again."""
        self.health.set_not_ready("stopping")
        deadline = self.clock.monotonic() + self.shutdown_timeout_s
        try:
            while self._in_hand or self._pending:
                if self._in_hand is None:
                    self._hand_over()
                if self._in_hand:
                    wait([self._in_hand[1]], max(0.0, deadline - self.clock.monotonic()))
                if self._in_hand and not self._in_hand[1].done():
                    self.delivery.given_up.set()
                    wait([self._in_hand[1]], REVOKE_WAIT_S)
                self._commit_delivered()
        except GivenUpError:
            log.warning("stopped with messages that are not stored: they will be delivered again")
        finally:
            self._pending = None
            self._in_hand = None
            self.source.close()
            self._worker.shutdown(wait=False)
        log.info("stopped")
