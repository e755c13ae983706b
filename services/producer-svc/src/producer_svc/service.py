"""The loop of a producer: what is due goes to the engine, what is finished to the outbox."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs
import structlog

from monitoring_core.clock import from_ms, to_ms
from monitoring_core.result import CheckResult, Reason

if TYPE_CHECKING:
    from monitoring_core.clock import Clock
    from monitoring_runtime.health import Health
    from monitoring_runtime.stop import Stop
    from producer_svc.assignment import Assignment, Update
    from producer_svc.blame import Blame
    from producer_svc.check import Origin
    from producer_svc.clock_steps import ClockSteps
    from producer_svc.metrics import Metrics
    from producer_svc.outbox import Outbox
    from producer_svc.overload import Overload
    from producer_svc.ports import Engine
    from producer_svc.schedule import Schedule
    from producer_svc.waiting import WaitingChecks

log = structlog.get_logger()

MAX_WAIT_S = 0.1
# What becomes due or finishes within so long is worked together: a turn for each would cost more than the check.
TOGETHER_S = 0.004
# At most so many become due in one turn: after a long pause there may be millions.
MAX_TAKEN = 2_000
# And so many of them missed: writing down an hour that nobody checked must not hold up the checks of now.
MAX_MISSED = 100


@attrs.define
class ProducerService:
    """Runs every slot of its targets until it is stopped, and accounts for each."""

    origin: Origin
    assignment: Assignment
    schedule: Schedule
    waiting: WaitingChecks
    engine: Engine
    blame: Blame
    outbox: Outbox
    clock: Clock
    health: Health
    metrics: Metrics
    overload: Overload
    clock_steps: ClockSteps
    shutdown_timeout_s: float
    # Whether the targets of the ID that is held are all known, and from when on their slots are this producer's.
    _whole: bool = attrs.field(default=False, init=False)
    _since_ms: int | None = attrs.field(default=None, init=False)
    # Slots that were taken and whose results are not in Kafka, by second; the oldest first, but for moments.
    _unaccounted: Counter[int] = attrs.field(factory=Counter, init=False)

    def __attrs_post_init__(self) -> None:
        self.outbox.on_done = self._account

    def run(self, stop: Stop) -> int:
        """Work until `stop`, then end in order; the number of results that are lost."""
        while not stop.requested:
            self.run_once(MAX_WAIT_S)
        return self._finish()

    def run_once(self, max_wait_s: float) -> None:
        """One turn: take the assignment, submit what is due, publish what is finished."""
        self.health.beat()
        self._take_assignment()
        self._note_clock_step()
        self._take_due()
        self._dispatch()
        next_s = max(TOGETHER_S, min(self.schedule.seconds_to_next, self.outbox.seconds_to_turn))
        self._take_finished(min(max_wait_s, next_s))
        self.overload.turn(self.schedule.checks_per_second, self.engine)
        self.metrics.observe(len(self.waiting), self.engine.running, self.blame.down)
        self.metrics.outbox(self.outbox.waiting, self.outbox.unsaved)

    def accounted_until_ms(self) -> int:
        """The moment up to which every slot of this producer has a result in Kafka."""
        now_ms = self.clock.now_ms()
        moments = [now_ms, 1_000 * min(self._unaccounted, default=now_ms // 1_000 + 1)]
        if self.schedule.next_ms is not None:
            moments.append(self.schedule.next_ms)
        return min(moments)

    def _take_assignment(self) -> None:
        update = self.assignment.poll(self.accounted_until_ms)
        if update is not None:
            self._change(update)
        if not self._whole and (why := self.assignment.outage or self.assignment.standing_by):
            self.health.set_not_ready(why)

    def _change(self, update: Update) -> None:
        if update.producer_id is None:
            self._let_go(update.given_up)
        self.metrics.holds(update.producer_id)
        self.metrics.assigned(update.targets, update.invalid)
        if update.producer_id is None:
            self.health.set_not_ready("no ID is held")
            return
        self.origin.producer_id = update.producer_id
        self.schedule.change(update.added, update.removed)
        if self._whole:
            if update.added or update.removed:
                counts = {"changed": len(update.added), "removed": len(update.removed)}
                log.info("targets changed", targets=update.targets, invalid=update.invalid, **counts)
            return
        moments = [since_ms for _, since_ms in update.added]
        self._since_ms = min(moments if self._since_ms is None else [self._since_ms, *moments], default=None)
        if update.complete:
            self._begin(update)

    def _let_go(self, given_up: bool) -> None:
        self._whole, self._since_ms = False, None
        if given_up:
            self.schedule.leave()
            return
        # Whoever has the ID now that was held before accounts for what was not begun.
        for check in self.waiting.clear():
            self._account(check.scheduled_ms)
        self.schedule.clear()

    def _begin(self, update: Update) -> None:
        structlog.contextvars.bind_contextvars(producer_id=update.producer_id)
        since_ms = self.clock.now_ms() if self._since_ms is None else self._since_ms
        self._whole = True
        self.metrics.accounted_since(since_ms)
        self.health.set_ready()
        since = f"{from_ms(since_ms):%Y-%m-%d %H:%M:%S} UTC"
        log.info("checking", targets=update.targets, invalid=update.invalid, slots_since=since)

    def _note_clock_step(self) -> None:
        step_s = self.clock_steps.step_s()
        if step_s > 0:
            log.warning("the clock was set forward: slots passed over are missed", seconds=round(step_s))
        elif step_s < 0:
            self.schedule.begin_again(self.clock.now_ms())
            log.warning("the clock was set back: slots from now on are checked again", seconds=round(-step_s))

    def _take_due(self) -> None:
        missed = 0
        for check in self.schedule.take_due(MAX_TAKEN):
            self._unaccounted[check.scheduled_ms // 1_000] += 1
            if check.window_end_ms > self.clock.now_ms():
                if not self.waiting.add(check):
                    self._account(check.scheduled_ms)
            else:
                self._publish(self.origin.unrun(check, Reason.MISSED_WINDOW, "no producer ran it in its window"))
                missed += 1
                if missed == MAX_MISSED:
                    break

    def _dispatch(self) -> None:
        """Start waiting checks in due order, as the engine and their hosts have room; the rest in time, or missed."""
        now_ms = self.clock.now_ms()
        for missed in self.waiting.missed(now_ms):
            self.overload.missed += 1
            self._publish(self.origin.unrun(missed, Reason.MISSED_WINDOW, "no free place in the engine in its window"))
        while self.engine.free > 0 and (check := self.waiting.take()):
            self.engine.submit(check)

    def _take_finished(self, wait_s: float) -> None:
        """Publish what is finished and decided."""
        for finished in self._finished_together(wait_s):
            self.waiting.done(finished.target_id, to_ms(finished.scheduled_at))
            self.overload.finished(finished)
            for result in self.blame.take(finished):
                self._publish(result)
        for result in self.blame.settled():
            self._publish(result)
        self.outbox.turn()

    def _finished_together(self, wait_s: float) -> list[CheckResult]:
        """Wait for the first check that finishes, and then for those that finish soon after the call."""
        until = self.clock.monotonic() + min(wait_s, TOGETHER_S)
        finished = more = list(self.engine.take_finished(wait_s))
        while more and (left_s := until - self.clock.monotonic()) > 0:
            more = list(self.engine.take_finished(left_s))
            finished += more
        return finished

    def _publish(self, result: CheckResult) -> None:
        self.metrics.finished(result)
        self.outbox.put(result)

    def _account(self, slot_ms: int) -> None:
        second = slot_ms // 1_000
        self._unaccounted[second] -= 1
        if self._unaccounted[second] <= 0:
            del self._unaccounted[second]

    def _finish(self) -> int:
        """Account for everything that was due before the stop, and flush."""
        self.health.set_not_ready("stopping")
        deadline = self.clock.monotonic() + self.shutdown_timeout_s
        until_ms = self.clock.now_ms()
        self._take_due()
        until_ms = min(until_ms, self.schedule.next_ms or until_ms)
        self.schedule.clear()
        log.info("stopping", waiting=len(self.waiting), running=self.engine.running)
        while (self.waiting or self.engine.running or self.blame.holding) and self.clock.monotonic() < deadline:
            self.health.beat()
            self._dispatch()
            self._take_finished(MAX_WAIT_S)
        for check in self.waiting.clear():
            self._publish(self.origin.unrun(check, Reason.MISSED_WINDOW, "the producer was stopped before the check"))
        for check in self.engine.abandon():
            self._publish(self.origin.unrun(check, Reason.PROBER_ERROR, "the producer was stopped during the check"))
        for result in self.blame.rest():
            self._publish(result)
        lost = self._flush(max(1.0, deadline - self.clock.monotonic()))
        # Slots that became due since are for whoever comes next.
        self.assignment.close(min(until_ms, self.accounted_until_ms()))
        return lost

    def _flush(self, timeout_s: float) -> int:
        left = self.outbox.flush(timeout_s)
        lost = self.outbox.unsaved
        self.outbox.close()
        if lost:
            log.error("stopped with results that neither Kafka nor the outbox took", lost=lost, in_outbox=left - lost)
        elif left:
            log.warning(
                "stopped with results that Kafka did not acknowledge: they are sent at the next start", in_outbox=left
            )
        else:
            log.info("stopped", in_outbox=0)
        return lost
