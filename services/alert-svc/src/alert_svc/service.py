"""The loop of alert-svc: receive results, decide, and store what follows."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import attrs
import structlog

from alert_svc.partition import Partition
from alert_svc.patience import Patience
from alert_svc.ports import LostError
from alert_svc.progress import Progress
from alert_svc.reading import decoded
from monitoring_alerting.memory import UnknownFormatError
from monitoring_core.errors import OutageError, StopError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from alert_svc.known import Known
    from alert_svc.metrics import Metrics
    from alert_svc.ports import Store
    from alert_svc.steps import Step
    from monitoring_core.clock import Clock
    from monitoring_runtime.health import Health
    from monitoring_runtime.stop import Stop
    from monitoring_runtime.topics import Received, Source

log = structlog.get_logger()

POLL_S = 0.1
POLL_ROWS = 5_000
# How far partitions are decided is stored at least so often; transitions are stored at once.
STORE_EVERY_S = 1.0
# A partition that gives nothing for this long is asked whether it has more; if not, its clock goes on.
TICK_EVERY_S = 10.0
SNAPSHOT_EVERY_S = 30.0
# How often it is looked whether a maintenance window is over.
WINDOWS_EVERY_S = 5.0
# Snapshots take no more than this share of the time, so that the larger ones are taken less often.
SNAPSHOT_SHARE = 0.05


@attrs.define
class AlertService:
    """Decides the partitions that are assigned to it, in one thread.

    Attributes:
        refresh_s: how often it is looked whether targets, policies or the number of partitions have changed.
        partitions: those that are decided.
        progress: how far that has come.
    """

    source: Source
    store: Store
    known: Known
    clock: Clock
    health: Health
    metrics: Metrics
    refresh_s: float
    partitions: dict[int, Partition] = attrs.field(factory=dict, init=False)
    progress: Progress = attrs.field(init=False)
    # Assigned, and not taken over yet.
    _waiting: set[int] = attrs.field(factory=set, init=False)
    _patience: Patience = attrs.field(init=False)
    _paused: bool = attrs.field(default=False, init=False)
    _prepared: bool = attrs.field(default=False, init=False)
    _next_store: float = attrs.field(default=0.0, init=False)
    _next_refresh: float = attrs.field(default=0.0, init=False)
    _next_windows: float = attrs.field(default=0.0, init=False)
    # For each partition, when it is asked next whether it has more, and when the next snapshot is due.
    _next_tick: dict[int, float] = attrs.field(factory=dict, init=False)
    _next_snapshot: dict[int, float] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._patience = Patience(self.clock, self.metrics)
        self.progress = Progress(self.clock.now_ms())

    def run(self, stop: Stop) -> None:
        """Work until a stop is requested, then store what is decided."""
        self._patience.attempt(self._prepare)
        try:
            self.source.subscribe(self.assign, self.revoke)
            while not stop.requested:
                self.run_once(POLL_S)
            self.health.set_not_ready("stopping")
            self.revoke(list(self.partitions))
        finally:
            self.source.close()

    def run_once(self, timeout_s: float) -> None:
        """One iteration: receive and decide, and store what is due."""
        self.health.beat()
        self._note_readiness()
        self._take(self.source.poll(POLL_ROWS, timeout_s))
        self._patience.attempt(self._work)
        # What is decided and cannot be stored is kept in memory, so that nothing more may come.
        if self._paused != (paused := self._patience.outage is not None):
            self.source.pause(paused)
            self._paused = paused

    def assign(self, partitions: Collection[int]) -> None:
        """Take these partitions over, too."""
        self._waiting.update(partitions)
        self._next_refresh = 0.0

    def revoke(self, partitions: Collection[int]) -> None:
        """Give partitions up, with a snapshot, so that their next owner has little to read again."""
        self._waiting.difference_update(partitions)
        given_up = [self.partitions.pop(number) for number in partitions if number in self.partitions]
        for partition in given_up:
            try:
                self._store(partition, with_snapshot=True)
            except LostError:
                self._note_loss(partition.number)
            except OutageError as error:
                log.warning("what was decided last cannot be stored: it is decided again", error=str(error))
                return

    def _prepare(self) -> None:
        self.store.prepare()
        self._prepared = True

    def _work(self) -> None:
        """All that needs the database or Kafka's answers."""
        if not self._prepared:
            self._prepare()
        # First, because it needs no answer of Kafka.
        self._store_what_is_due()
        self._refresh()
        self._take_over()
        self._tick()
        self._tell_what_lasts()

    def _store_what_is_due(self) -> None:
        now = self.clock.monotonic()
        due = now >= self._next_store
        for number, partition in list(self.partitions.items()):
            if not (due or partition.transitions):
                continue
            try:
                self._store(partition, now >= self._next_snapshot[number])
            except LostError:
                self._note_loss(number)
                self._drop(number)
        if due:
            self._next_store = now + STORE_EVERY_S

    def _take(self, messages: Sequence[Received]) -> None:
        bad = 0
        for message in messages:
            partition = self.partitions.get(message.partition())
            if partition is None:
                continue
            result = decoded(message)
            if result is None:
                bad += 1
            elif self.known.is_misplaced(result.target_id, partition.number):
                self.metrics.results("misplaced")
            try:
                partition.take(message.offset(), result)
            except ValueError:
                log.error("Kafka has set a partition back: it is taken over anew", partition=partition.number)
                self._drop(partition.number)
        self.metrics.results("bad", bad)
        self.metrics.results("taken", len(messages) - bad)
        heard = {message.partition() for message in messages}
        for number in heard & self.partitions.keys():
            self._next_tick[number] = self.clock.monotonic() + TICK_EVERY_S
            if notes := self.partitions[number].notes():
                self.metrics.late.inc(len(notes))
                log.info("late results would have changed history", number=len(notes), first=str(notes[0]))

    def _refresh(self) -> None:
        """Go on with the targets, policies and partitions of now."""
        now = self.clock.monotonic()
        if now < self._next_refresh:
            return
        self.known.look()
        if self.known.anew:
            log.warning("the topic was made anew: it is read from its beginning")
            for number in list(self.partitions):
                self._drop(number)
        elif self.known.changed and self.partitions:
            watched = self.known.watched(self.partitions)
            for number, partition in self.partitions.items():
                partition.change(self.known.policies, watched[number])
        self.known.changed = False
        self._next_refresh = now + self.refresh_s

    def _take_over(self) -> None:
        state = self.known.topic
        numbers = [number for number in sorted(self._waiting) if state and number in state.begins]
        if not numbers or state is None:
            return
        ends = self.known.states.ends(numbers)
        watched = self.known.watched(numbers)
        for number in numbers:
            begin = state.begins[number]
            kept = self.store.take_over(state.topic, number, begin)
            policies, targets = self.known.policies, watched.pop(number)
            try:
                partition = Partition.taken_over(number, kept, (begin, ends[number]), policies, targets)
            except UnknownFormatError:
                raise StopError(
                    "what alert-svc remembers was written by another release of it: use that one, or a newer one"
                ) from None
            if kept.parts and partition.read > kept.snapshot_offset:
                log.error(
                    "Kafka no longer had results that were due to be decided",
                    partition=number,
                    first_offset=kept.snapshot_offset,
                    next_offset=partition.read,
                )
            self._waiting.discard(number)
            self.partitions[number] = partition
            self._next_tick[number] = self.clock.monotonic() + TICK_EVERY_S
            self._next_snapshot[number] = self.clock.monotonic() + SNAPSHOT_EVERY_S
            self.metrics.takeovers.inc()
            log.info("partition taken over", partition=number, offset=partition.read, again=partition.goal)
            self.source.start({number: partition.read})
            self.health.beat()

    def _tick(self) -> None:
        """Let the clocks of partitions go on that have nothing more to give at present.

        Only Kafka can say so: while it does not answer, there may be results that are not read.
        """
        now = self.clock.monotonic()
        idle = [n for n, partition in self.partitions.items() if partition.caught_up and now >= self._next_tick[n]]
        if not idle:
            return
        ends = self.known.states.ends(idle)
        moment = self.store.now()
        for number in idle:
            self._next_tick[number] = now + TICK_EVERY_S
            if self.partitions[number].read >= ends[number]:
                self.partitions[number].tick(moment)

    def _tell_what_lasts(self) -> None:
        """Tell what a maintenance window kept back that is over."""
        now = self.clock.monotonic()
        settled = [one for one in self.partitions.values() if one.caught_up and not one.transitions]
        if now < self._next_windows or not settled or self.known.topic is None:
            return
        self._next_windows = now + WINDOWS_EVERY_S
        clocks: dict[int | None, int | None] = {one.number: one.clock for one in settled}
        holds, partition_of = [(one.number, one.generation) for one in settled], self.known.partition_of
        with contextlib.suppress(LostError):  # the next step of the partition finds that out, too
            topic = self.known.topic.topic
            told = self.store.tell_what_lasts(topic, holds, lambda target: clocks.get(partition_of(target)))
            if told:
                log.info("maintenance windows are over: what lasts is told", alerts=told)

    def _store(self, partition: Partition, with_snapshot: bool) -> None:
        step = partition.step(with_snapshot)
        if step is None:
            return
        assert self.known.topic is not None
        began = self.clock.monotonic()
        self.store.store(self.known.topic.topic, step)
        self._stored(partition, step, self.clock.monotonic() - began)

    def _stored(self, partition: Partition, step: Step, took_s: float) -> None:
        partition.done(step)
        self.metrics.transitions(step.transitions)
        if step.snapshot:
            self.metrics.snapshot_seconds.observe(took_s)
            pause_s = max(SNAPSHOT_EVERY_S, took_s / SNAPSHOT_SHARE)
            self._next_snapshot[partition.number] = self.clock.monotonic() + pause_s
        else:
            self.metrics.store_seconds.observe(took_s)
        for outcome, number in zip(("unknown", "ahead"), partition.new_counts(), strict=True):
            self.metrics.results(outcome, number)
        self.source.commit({partition.number: step.end})

    def _note_loss(self, number: int) -> None:
        log.warning("another process has taken the partition over, or the database is an older copy", partition=number)
        self.metrics.lost.inc()

    def _drop(self, number: int) -> None:
        """Forget what was decided of a partition and is not stored, and take it over anew."""
        del self.partitions[number]
        self._waiting.add(number)
        self._next_refresh = 0.0

    def _note_readiness(self) -> None:
        self.metrics.faulty_policies.set(self.known.policy_file.fault is not None)
        idle = None if self.source.assigned else "no partition is assigned"
        why = self._patience.outage or self.source.outage or idle
        if why is None and self._waiting:
            why = f"partitions are being taken over: {', '.join(map(str, sorted(self._waiting)))}"
        clocks = (partition.clock for partition in self.partitions.values())
        self.progress.note(self.clock.now_ms(), clocks, complete=why is None)
        if why:
            self.health.set_not_ready(why)
        else:
            self.health.set_ready()
