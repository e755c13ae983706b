"""The loop of a producer: what is due goes to the engine, what is finished to the outbox."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import attrs
import structlog

from monitoring_core.clock import for_people, from_ms, to_ms
from monitoring_core.result import CheckResult, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring_core.clock import Clock
    from monitoring_runtime.health import Health
    from monitoring_runtime.stop import Stop
    from producer_svc.assignment import Assignment
    from producer_svc.blame import Blame
    from producer_svc.check import Check, Origin
    from producer_svc.clock_steps import ClockSteps
    from producer_svc.metrics import Metrics
    from producer_svc.outbox import Outbox
    from producer_svc.overload import Overload
    from producer_svc.ports import Engine
    from producer_svc.schedule import Schedule
    from producer_svc.unaccounted import UnaccountedSlots
    from producer_svc.updates import Update
    from producer_svc.waiting import WaitingChecks

log = structlog.get_logger()

# How long an iteration waits at most; and while something may happen of which the wait does not know.
TICK_S = 0.5
MAX_WAIT_S = 0.1
# How long an iteration lasts at least: what becomes due meanwhile comes so much later. Also how long one waits for more
# results when checks wait for places. An iteration for each check would cost more than the check.
ITERATION_S = 0.004
# How late an iteration may come without delaying checks of an engine whose lead is longer than twice this.
MARGIN_S = 0.1
# How many checks an iteration pops at most: after a long pause there may be millions.
MAX_POPPED = 2_000
# How many of those may be missed: recording an hour that nobody checked must not delay the checks of now.
MAX_MISSED = 100


@attrs.define
class ProducerService:
    """Runs every slot of its targets until it is stopped, and accounts for each.

    Attributes:
        origin: names the ID that is held, or was held last.
        unaccounted: popped slots; the outbox removes those whose results are in Kafka.
    """

    origin: Origin
    assignment: Assignment
    schedule: Schedule
    waiting: WaitingChecks
    engine: Engine
    blame: Blame
    outbox: Outbox
    unaccounted: UnaccountedSlots
    clock: Clock
    health: Health
    metrics: Metrics
    overload: Overload
    clock_steps: ClockSteps
    shutdown_timeout_s: float
    # Whether all targets of the ID that is held are known, and the moment from which their slots are this producer's.
    _whole: bool = attrs.field(default=False, init=False)
    _since_ms: int | None = attrs.field(default=None, init=False)

    def run(self, stop: Stop) -> int:
        """Work until a stop is requested, then finish in order; returns the number of lost results."""
        while not stop.requested:
            self.run_once(TICK_S, stop)
        return self._finish()

    def run_once(self, max_wait_s: float, stop: Stop | None = None) -> None:
        """One iteration: learn what has changed, submit what is due, publish what is finished.

        Waits until there is something to submit, at most `max_wait_s` seconds and not beyond a stop.
        """
        lead_s = self.engine.lead_s
        self.health.beat()
        self._poll_assignment()
        self._note_clock_step()
        self._pop_due(lead_s)
        self._dispatch()
        # Without a free place nothing can be submitted early.
        next_s = self.schedule.seconds_to_next - (min(MARGIN_S, lead_s / 2) if self.engine.free > 0 else 0.0)
        next_s = max(ITERATION_S, min(next_s, self.assignment.seconds_to_poll))
        self._publish_finished(self._wait(min(max_wait_s, next_s), stop))
        if self.overload.missed:
            self.overload.report(self.schedule.checks_per_second, self.engine)
        self.metrics.observe(len(self.waiting), self.engine.running, self.blame.down)
        self.metrics.outbox(self.outbox.waiting, self.outbox.unsaved)

    def accounted_until_ms(self) -> int:
        """The moment up to which every slot of this producer has a result in Kafka."""
        moments = (self.clock.now_ms(), self.unaccounted.oldest_ms, self.schedule.next_ms)
        return min(moment for moment in moments if moment is not None)

    def _poll_assignment(self) -> None:
        update = self.assignment.poll(self.accounted_until_ms)
        if update is not None:
            self._change(update)
        self.metrics.ids_needed = self.assignment.ids_needed
        self._note_readiness()

    def _note_readiness(self) -> None:
        """Ready is who knows the targets of its ID, and gets its results to Kafka."""
        why = self.outbox.outage if self._whole else self.assignment.outage or self.assignment.standing_by
        if why:
            self.health.set_not_ready(why)
        elif self._whole:
            self.health.set_ready()

    def _change(self, update: Update) -> None:
        if update.producer_id is None:
            self._let_go(update.given_up)
        self.metrics.holds(update.producer_id)
        self.metrics.assigned(update.targets, update.invalid)
        if update.producer_id is None:
            self.health.set_not_ready("no ID is held")
            return
        self.origin = attrs.evolve(self.origin, producer_id=update.producer_id)
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
        # The producer that holds the ID now accounts for what was not begun.
        for check in self.waiting.clear():
            self.unaccounted.remove(check.scheduled_ms)
        self.schedule.clear()

    def _begin(self, update: Update) -> None:
        structlog.contextvars.bind_contextvars(producer_id=update.producer_id)
        since_ms = self.clock.now_ms() if self._since_ms is None else self._since_ms
        self._whole = True
        self.metrics.accounted_since(since_ms)
        since = for_people(from_ms(since_ms))
        log.info("checking", targets=update.targets, invalid=update.invalid, slots_since=since)

    def _note_clock_step(self) -> None:
        step_s = self.clock_steps.step_s()
        if step_s > 0:
            log.warning("the clock was set forward: slots passed over are missed", seconds=round(step_s))
        elif step_s < 0:
            self.schedule.begin_again(self.clock.now_ms())
            log.warning("the clock was set back: slots from now on are checked again", seconds=round(-step_s))

    def _pop_due(self, lead_s: float) -> None:
        """Submit what is due in `lead_s` seconds or let it wait for the engine.

        What has missed its window is published, and so is what can never be checked.
        """
        missed, now_ms, free = 0, self.clock.now_ms(), self.engine.free
        # Only as many as there are places: the others wait from when they are due.
        early = self.schedule.pop_due(min(free - len(self.waiting), MAX_POPPED), lead_s)
        for check in itertools.chain(early, self.schedule.pop_due(MAX_POPPED)):
            self.unaccounted.add(check.scheduled_ms)
            if (problem := check.target.problem) is not None:
                self._publish(self.origin.unrun(check, Reason.INVALID_TARGET, problem))
            elif check.window_end_ms > now_ms:
                if free > 0 and self.waiting.begin(check):
                    self.engine.submit(check, self.origin)
                    free -= 1
                elif not self.waiting.add(check):
                    self.unaccounted.remove(check.scheduled_ms)
            else:
                self._publish(self.origin.unrun(check, Reason.MISSED_WINDOW, "no producer ran it in its window"))
                missed += 1
                if missed == MAX_MISSED:
                    break

    def _dispatch(self) -> None:
        """Publish waiting checks whose window is over as missed; start others while the engine and hosts have room."""
        if not self.waiting:
            return
        now_ms = self.clock.now_ms()
        for missed in self.waiting.pop_missed(now_ms):
            self.overload.missed += 1
            self._publish(self.origin.unrun(missed, Reason.MISSED_WINDOW, "no free place in the engine in its window"))
        while self.engine.free > 0 and (check := self.waiting.pop()):
            self.engine.submit(check, self.origin)

    def _wait(self, wait_s: float, stop: Stop | None) -> list[CheckResult]:
        """What has finished in `wait_s` seconds; earlier when a check waits and may begin in the place of another."""
        if self.waiting:
            return self._drain_within(min(wait_s, MAX_WAIT_S), ITERATION_S)
        if self.engine.running:
            wait_s = wait_s if self.engine.lead_s else min(wait_s, MAX_WAIT_S)
            return list(self.engine.drain_finished(wait_s, MAX_POPPED))
        if self.blame.holding:
            wait_s = min(wait_s, MAX_WAIT_S)
        if stop:
            stop.wait(wait_s)
        return list(self.engine.drain_finished(0.0))

    def _publish_finished(self, results: Iterable[CheckResult]) -> None:
        """Publish what is finished and what is decided."""
        for finished in results:
            self.waiting.done(finished.target_id, to_ms(finished.scheduled_at))
            self.overload.finished(finished)
            for result in self.blame.accept(finished):
                self._publish(result)
        for result in self.blame.decided():
            self._publish(result)
        self.outbox.flush()

    def _drain_within(self, wait_s: float, more_s: float) -> list[CheckResult]:
        """Wait for the first check that finishes, and then for those that finish within `more_s` of the call."""
        until = self.clock.monotonic() + min(wait_s, more_s)
        finished = more = list(self.engine.drain_finished(wait_s))
        while more and (left_s := until - self.clock.monotonic()) > 0:
            more = list(self.engine.drain_finished(left_s))
            finished += more
        return finished

    def _publish(self, result: CheckResult) -> None:
        self.metrics.finished(result)
        self.outbox.put(result)

    def _finish(self) -> int:
        """Account for everything that was due before the stop, and send it."""
        self.health.set_not_ready("stopping")
        deadline = self.clock.monotonic() + self.shutdown_timeout_s
        stopped_ms = self.clock.now_ms()
        self._pop_due(0.0)
        until_ms = min(stopped_ms, self.schedule.next_ms or stopped_ms)
        self.schedule.clear()
        log.info("stopping", waiting=len(self.waiting), running=self.engine.running)
        while (self.waiting or self.engine.running or self.blame.holding) and self.clock.monotonic() < deadline:
            self.health.beat()
            self._dispatch()
            self._publish_finished(self._drain_within(MAX_WAIT_S, ITERATION_S))
        self._publish_unfinished(stopped_ms)
        lost = self._send_all(max(1.0, deadline - self.clock.monotonic()))
        # Slots that became due since the stop are for the next producer.
        self.assignment.close(min(until_ms, self.accounted_until_ms()))
        return lost

    def _publish_unfinished(self, until_ms: int) -> None:
        """Publish the checks until `until_ms` that are still waiting or running, and those that are undecided."""
        for check in self.waiting.clear():
            self._publish_unrun(check, until_ms, Reason.MISSED_WINDOW, "the producer was stopped before the check")
        for check in self.engine.abandon():
            self._publish_unrun(check, until_ms, Reason.PROBER_ERROR, "the producer was stopped during the check")
        for result in self.blame.rest():
            self._publish(result)

    def _publish_unrun(self, check: Check, until_ms: int, reason: Reason, why: str) -> None:
        if check.scheduled_ms <= until_ms:
            self._publish(self.origin.unrun(check, reason, why))
        else:  # submitted early: the next producer accounts for it
            self.unaccounted.remove(check.scheduled_ms)

    def _send_all(self, timeout_s: float) -> int:
        left = self.outbox.send_all(timeout_s)
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
