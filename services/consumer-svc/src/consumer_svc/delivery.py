"""Delivering one batch: results to the database, poison to the dead letters, until both are done."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

import attrs
import structlog

from consumer_svc.ports import Poison, Received, RefusedError, WriteCounts
from monitoring_core.errors import OutageError
from monitoring_core.result import one_line
from monitoring_runtime.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from consumer_svc.batch import Batch
    from consumer_svc.metrics import Metrics
    from consumer_svc.ports import DeadLetters, Writer
    from monitoring_core.result import CheckResult
    from monitoring_runtime.health import Health

log = structlog.get_logger()

# The ratio of poison is taken over so many of the last messages, and over fewer only while there were no more.
POISON_WINDOW = 1_000
POISON_MINIMUM = 100
LOOK_EVERY_S = 60.0

T = TypeVar("T")
_Pair = tuple[Received, "CheckResult"]


class GivenUpError(Exception):
    """The delivery was given up before it was done: nothing of its batch may be committed."""


@attrs.define
class Delivery:
    """Runs in a thread of its own, one batch at a time.

    Attributes:
        given_up: once set, an outage is not waited for any more.
        max_dead_letter_ratio: how much of the last messages may be poison.
        outage: why nothing can be delivered now, in one line; None while it can.
        too_much_poison: in one line, that more is; None while it is not.
    """

    writer: Writer
    dead_letters: DeadLetters
    health: Health
    metrics: Metrics
    max_dead_letter_ratio: float = 1.0
    given_up: threading.Event = attrs.field(factory=threading.Event)
    outage: str | None = attrs.field(default=None, init=False)
    too_much_poison: str | None = attrs.field(default=None, init=False)
    _next_look: float = attrs.field(default=0.0, init=False)
    _last: deque[tuple[int, int]] = attrs.field(factory=deque, init=False)

    def prepare(self) -> None:
        """Return when the database can be written to, or `given_up` is set.

        Raises:
            StopError: it is not for this consumer.
        """
        with contextlib.suppress(GivenUpError):
            self._retry(self.writer.prepare)

    def deliver(self, batch: Batch) -> None:
        """Return when every result is stored and all poison is acknowledged by the dead-letter topic.

        Raises:
            GivenUpError: `given_up` was set while an outage lasted.
        """
        poison = list(batch.poison)
        counts = self._store(batch.results, poison)
        self.metrics.written(len(batch), counts)
        if poison:
            self._retry(lambda: self.dead_letters.send(poison))
            self.metrics.dead_lettered(poison)
            log.warning("messages sent to the dead letters", count=len(poison), first=poison[0].error[:200])
        self._judge(len(batch), len(poison))
        self._look_for_missing_partitions()

    def _judge(self, messages: int, poison: int) -> None:
        """Whether so much is poison that it must be the schema, not the data, that is wrong."""
        self._last.append((messages, poison))
        total = sum(size for size, _ in self._last)
        while total - self._last[0][0] >= POISON_WINDOW:
            total -= self._last.popleft()[0]
        bad = sum(count for _, count in self._last)
        before = self.too_much_poison
        if total < POISON_MINIMUM or bad <= self.max_dead_letter_ratio * total:
            self.too_much_poison = None
            if before:
                log.info("no more poison than is allowed")
            return
        self.too_much_poison = (
            f"{bad} of the last {total} messages were poison, more than consumer.max_dead_letter_ratio allows: "
            "are the producers newer than this consumer, or the database older?"
        )
        if not before:
            log.error("too much poison", error=self.too_much_poison)

    def _look_for_missing_partitions(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_EVERY_S
        try:
            rows = self.writer.rows_by_default()
        except OutageError as error:
            log.warning("rows in the default partition cannot be counted", error=str(error))
            return
        before = self.metrics.in_default_partition(rows)
        if rows and not before:
            log.warning("results of days that have no partition are in the default one: run dbadmin create-schema")

    def _store(self, pairs: Sequence[_Pair], poison: list[Poison]) -> WriteCounts:
        """Store the results; those that the database refuses, found by halving, become poison."""
        if not pairs:
            return WriteCounts()
        try:
            return self._retry(lambda: self._write([result for _, result in pairs]))
        except RefusedError as error:
            if len(pairs) == 1:
                poison.append(Poison(pairs[0][0], "refused_by_database", one_line(str(error))))
                return WriteCounts()
        half = len(pairs) // 2
        return self._store(pairs[:half], poison) + self._store(pairs[half:], poison)

    def _write(self, results: Sequence[CheckResult]) -> WriteCounts:
        started = time.monotonic()
        counts = self.writer.write(results)
        self.metrics.write_seconds.observe(time.monotonic() - started)
        return counts

    def _retry(self, step: Callable[[], T]) -> T:
        backoff = Backoff()
        while True:
            try:
                done = step()
            except OutageError as error:
                self._note_outage(str(error))
                if self.given_up.wait(backoff.next()):
                    raise GivenUpError from None
                continue
            except RefusedError:
                self._note_success()
                raise
            self._note_success()
            return done

    def _note_outage(self, why: str) -> None:
        self.metrics.outages.inc()
        if self.outage != why:
            log.warning("results cannot be stored, retrying", error=why)
        self.outage = why
        self.health.set_not_ready(why)

    def _note_success(self) -> None:
        if self.outage:
            log.info("results are stored again")
        self.outage = None
