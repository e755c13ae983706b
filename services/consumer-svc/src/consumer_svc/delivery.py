"""Delivering one batch: results to the database, poison to the dead letters, until both are done."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

import attrs
import structlog

from consumer_svc.poison_watch import PoisonWatch
from consumer_svc.ports import REFUSED_BY_DATABASE, BehindError, Poison, RefusedError, WriteCounts
from monitoring_core.clock import SystemClock
from monitoring_core.errors import OutageError
from monitoring_core.result import one_line
from monitoring_runtime.outage import Outage
from monitoring_runtime.retry import OUTAGE, RetryPolicy
from monitoring_runtime.topics import Received

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from consumer_svc.batch import Batch
    from consumer_svc.metrics import Metrics
    from consumer_svc.places import Asked, Gap, Places, Progress
    from consumer_svc.ports import DeadLetters, TopicStates, Writer
    from monitoring_core.clock import Clock
    from monitoring_core.result import CheckResult
    from monitoring_runtime.health import Health

log = structlog.get_logger()

# How often the rows in the default partition are counted, which costs a query.
LOOK_EVERY_S = 60.0

T = TypeVar("T")
_Pair = tuple[Received, "CheckResult"]


class GivenUpError(Exception):
    """The delivery was given up before it was done: no offset of its batch may be committed."""


@attrs.define
class Delivery:
    """Runs in a thread of its own, one batch at a time.

    Attributes:
        max_dead_letter_ratio: the share of the last messages that may be poison, 0 to 1.
        given_up: once it is set, a delivery no longer waits for the end of an outage.
        retry: how long to wait between the tries during an outage.
    """

    writer: Writer
    dead_letters: DeadLetters
    topic_states: TopicStates
    health: Health
    metrics: Metrics
    max_dead_letter_ratio: float = 1.0
    given_up: threading.Event = attrs.field(factory=threading.Event)
    retry: RetryPolicy = OUTAGE
    clock: Clock = attrs.field(factory=SystemClock)
    _outage: Outage = attrs.field(
        factory=lambda: Outage("results cannot be stored, retrying", "results are stored again"), init=False
    )
    _next_look: float = attrs.field(default=0.0, init=False)
    # The partitions in which a gap between messages was logged.
    _told_of: set[int] = attrs.field(factory=set, init=False)
    _poison_watch: PoisonWatch = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._poison_watch = PoisonWatch(self.max_dead_letter_ratio)

    @property
    def outage(self) -> str | None:
        """Why nothing can be delivered now, in one line; None while it can."""
        return self._outage.why

    @property
    def too_much_poison(self) -> str | None:
        """One line about poison beyond `max_dead_letter_ratio` of the last messages; None while it is within."""
        return self._poison_watch.alarm

    def prepare(self) -> None:
        """Return when the database can be written to, or `given_up` is set.

        Raises:
            StopError: the schema of the database does not serve this release.
        """
        with contextlib.suppress(GivenUpError):
            self._retry(self.writer.prepare)

    def places(self, asked: Asked) -> Places | None:
        """From where partitions are to be read; None when Kafka does not answer and none of them waits.

        Raises:
            GivenUpError: `given_up` was set while an outage lasted.
        """
        try:
            state = self._retry(self.topic_states.now) if asked.waiting else self.topic_states.now()
        except OutageError:
            return None
        places = self._retry(lambda: self.writer.place(state, asked))
        self._note_gaps(places.gaps)
        return places

    def deliver(self, batch: Batch) -> None:
        """Return when every result is stored and all poison is acknowledged by the dead-letter topic.

        Raises:
            BehindError: the database lacks what was stored before the batch.
            GivenUpError: `given_up` was set while an outage lasted.
        """
        poison = list(batch.poison)
        counts = None if poison else self._store_at_once(batch)
        if counts is None:
            # What is stored is noted last, so that it never counts poison that is nowhere.
            counts = self._store(batch.results, poison)
            if poison:
                self._send(poison)
            self._retry(lambda: self.writer.write((), batch.progress))
        self.metrics.written(len(batch), counts)
        self._note_gaps(batch.progress.gaps)
        self._poison_watch.add(len(batch), len(poison))
        self._look_for_missing_partitions()

    def _send(self, poison: list[Poison]) -> None:
        self._retry(lambda: self.dead_letters.send(poison))
        self.metrics.dead_lettered(poison)
        log.warning("messages sent to the dead letters", count=len(poison), first=poison[0].error[:200])

    def _note_gaps(self, gaps: Sequence[Gap]) -> None:
        for gap in gaps:
            self.metrics.gap(gap)
            # A compacted topic has a gap in nearly every batch.
            if gap.reason == "missing":
                if gap.partition in self._told_of:
                    continue
                self._told_of.add(gap.partition)
            log.error(
                "Kafka no longer had messages that were due to be stored",
                reason=gap.reason,
                partition=gap.partition,
                first_offset=gap.first_offset,
                next_offset=gap.next_offset,
                messages=gap.messages,
            )

    def _look_for_missing_partitions(self) -> None:
        if self.clock.monotonic() < self._next_look:
            return
        self._next_look = self.clock.monotonic() + LOOK_EVERY_S
        try:
            rows = self.writer.rows_by_default()
        except OutageError as error:
            log.warning("rows in the default partition cannot be counted", error=str(error))
            return
        before = self.metrics.in_default_partition(rows)
        if rows and not before:
            log.warning("results of days that have no partition are in the default one: run dbadmin create-schema")

    def _store_at_once(self, batch: Batch) -> WriteCounts | None:
        """Store the results, and how far the batch comes, in one transaction; None when there is a refused one."""
        try:
            return self._retry(lambda: self._write([result for _, result in batch.results], batch.progress))
        except RefusedError:
            return None

    def _store(self, pairs: Sequence[_Pair], poison: list[Poison]) -> WriteCounts:
        """Store the results; those that the database refuses, found by halving, become poison."""
        if not pairs:
            return WriteCounts()
        try:
            return self._retry(lambda: self._write([result for _, result in pairs]))
        except RefusedError as error:
            if len(pairs) == 1:
                poison.append(Poison(pairs[0][0], REFUSED_BY_DATABASE, one_line(str(error))))
                return WriteCounts()
        half = len(pairs) // 2
        return self._store(pairs[:half], poison) + self._store(pairs[half:], poison)

    def _write(self, results: Sequence[CheckResult], progress: Progress | None = None) -> WriteCounts:
        started = self.clock.monotonic()
        counts = self.writer.write(results, progress)
        self.metrics.write_seconds.observe(self.clock.monotonic() - started)
        return counts

    def _retry(self, step: Callable[[], T]) -> T:
        backoff = self.retry.backoff()
        while True:
            try:
                done = step()
            except OutageError as error:
                self.metrics.outages.inc()
                self._outage.lasts(str(error))
                self.health.set_not_ready(str(error))
                if self.given_up.wait(backoff.next()):
                    raise GivenUpError from None
                continue
            except (RefusedError, BehindError):
                self._outage.ends()
                raise
            self._outage.ends()
            return done
