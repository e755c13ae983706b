"""The loop of a producer: what is due goes to the engine, what is finished to the outbox."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import attrs
import structlog

from monitoring_core.result import CheckResult, Reason

if TYPE_CHECKING:
    from monitoring_core.clock import Clock
    from monitoring_runtime.health import Health
    from monitoring_runtime.stop import Stop
    from producer_svc.assignment import Assignment
    from producer_svc.blame import Blame
    from producer_svc.check import Check, Origin
    from producer_svc.metrics import Metrics
    from producer_svc.outbox import Outbox
    from producer_svc.ports import Engine
    from producer_svc.schedule import Schedule

log = structlog.get_logger()

MAX_WAIT_S = 0.1


@attrs.define
class ProducerService:
    """Runs every slot of its targets until it is stopped, and accounts for each."""

    origin: Origin
    assignment: Assignment
    schedule: Schedule
    engine: Engine
    blame: Blame
    outbox: Outbox
    clock: Clock
    health: Health
    metrics: Metrics
    shutdown_timeout_s: float
    _waiting: deque[Check] = attrs.field(factory=deque, init=False)
    _assigned: bool = attrs.field(default=False, init=False)

    def run(self, stop: Stop) -> int:
        """Work until `stop`, then end in order; the number of results that are lost."""
        while not stop.requested:
            self.run_once(MAX_WAIT_S)
        return self._finish()

    def run_once(self, max_wait_s: float) -> None:
        """One turn: take the assignment, submit what is due, publish what is finished."""
        self.health.beat()
        self._take_assignment()
        self._waiting.extend(self.schedule.take_due())
        self._dispatch()
        self._take_finished(min(max_wait_s, self.schedule.seconds_to_next(), self.outbox.seconds_to_turn))
        self.metrics.observe(len(self._waiting), self.engine.running, self.blame.down)
        self.metrics.outbox(self.outbox.waiting, self.outbox.unsaved)

    def _take_assignment(self) -> None:
        found = self.assignment.poll()
        if found is None:
            if self.assignment.outage and not self._assigned:
                self.health.set_not_ready(self.assignment.outage)
            return
        since_ms = self.clock.now_ms()
        before = len(self.schedule)
        self.schedule.replace(found.targets, since_ms)
        self.metrics.assigned(len(found.targets), found.invalid)
        if not self._assigned:
            self._assigned = True
            self.metrics.accounted_since(since_ms)
            self.health.set_ready()
            log.info("checking", targets=len(found.targets), invalid=found.invalid)
        elif len(self.schedule) != before:
            log.info("targets changed", targets=len(found.targets), before=before, invalid=found.invalid)

    def _dispatch(self) -> None:
        """Start waiting checks in due order, as the engine has room; those whose window is over are missed."""
        while self._waiting:
            check = self._waiting[0]
            late_s = (self.clock.now_ms() - check.window_end_ms) / 1000
            if late_s >= 0:
                error = f"no free place in the engine until {late_s:.3f} s after the window"
                self._publish(self.origin.unrun(check, Reason.MISSED_WINDOW, error))
            elif self.engine.free > 0:
                self.engine.submit(check)
            else:
                return
            self._waiting.popleft()

    def _take_finished(self, wait_s: float) -> None:
        """Publish what is finished and decided."""
        for finished in self.engine.take_finished(wait_s):
            for result in self.blame.take(finished):
                self._publish(result)
        for result in self.blame.settled():
            self._publish(result)
        self.outbox.turn()

    def _publish(self, result: CheckResult) -> None:
        self.metrics.finished(result)
        self.outbox.put(result)

    def _finish(self) -> int:
        """Account for everything that was due before the stop, and flush."""
        self.health.set_not_ready("stopping")
        self.assignment.close()
        deadline = self.clock.monotonic() + self.shutdown_timeout_s
        self._waiting.extend(self.schedule.take_due())
        log.info("stopping", waiting=len(self._waiting), running=self.engine.running)
        while (self._waiting or self.engine.running or self.blame.holding) and self.clock.monotonic() < deadline:
            self.health.beat()
            self._dispatch()
            self._take_finished(MAX_WAIT_S)
        for check in self._waiting:
            self._publish(self.origin.unrun(check, Reason.MISSED_WINDOW, "the producer was stopped before the check"))
        for check in self.engine.abandon():
            self._publish(self.origin.unrun(check, Reason.PROBER_ERROR, "the producer was stopped during the check"))
        for result in self.blame.rest():
            self._publish(result)
        self._waiting.clear()
        return self._flush(max(1.0, deadline - self.clock.monotonic()))

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
