"""The engine on requests: a bounded pool of threads."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from monitoring_runtime.memory import keep_memory_together
from producer_svc.adapters.connection import Resolver
from producer_svc.adapters.network import DeniedNetworks
from producer_svc.adapters.probe import Probe, tls_contexts
from producer_svc.exchange import Limits
from producer_svc.stalls import StallWatch

if TYPE_CHECKING:
    from monitoring_core.config import MonitorConfig
    from monitoring_core.result import CheckResult
    from producer_svc.check import Check, Origin

_Slot = tuple[int, int]


class RequestsEngine:
    """Runs at most `monitor.max_concurrent_checks` checks at once, each in a thread that begins when it is needed."""

    def __init__(self, config: MonitorConfig, origin: Origin) -> None:
        keep_memory_together()
        self._config = config
        self._origin = origin
        self._limits = Limits.of(config)
        self._contexts = tls_contexts()
        self._networks = DeniedNetworks(config.denied_networks)
        self._stalls = StallWatch()
        self._resolver = Resolver(config.max_concurrent_checks)
        self._submitted: queue.SimpleQueue[Check] = queue.SimpleQueue()
        # Not a SimpleQueue: up to Python 3.12, a signal near the end of its wait makes it wait for ever.
        self._finished: queue.Queue[CheckResult] = queue.Queue()
        self._running: dict[_Slot, Check] = {}
        self._threads = 0

    @property
    def free(self) -> int:
        """How many more checks can be submitted now."""
        return self._config.max_concurrent_checks - len(self._running)

    @property
    def running(self) -> int:
        """How many checks are submitted and not yet taken as finished."""
        return len(self._running)

    def submit(self, check: Check) -> None:
        """Begin a check. It ends within its target's timeout."""
        self._running[check.target.id, check.scheduled_ms] = check
        if self._threads < len(self._running):
            self._begin_thread()
        self._submitted.put(check)

    def take_finished(self, wait_s: float) -> list[CheckResult]:
        """The results since the last call; waits for the first at most `wait_s` seconds."""
        results: list[CheckResult] = []
        try:
            results.append(self._finished.get(timeout=max(0.0, wait_s)))
            while True:
                results.append(self._finished.get_nowait())
        except queue.Empty:
            pass
        by_slot = {(r.target_id, round(r.scheduled_at.timestamp() * 1000)): r for r in results}
        return [result for slot, result in by_slot.items() if self._running.pop(slot, None)]

    def abandon(self) -> list[Check]:
        """Give up what is running, and return it: its results will never be taken."""
        abandoned = list(self._running.values())
        self._running.clear()
        self._resolver.close()
        return abandoned

    def _begin_thread(self) -> None:
        """One more thread, or, when this machine has no more, leave the check to those that there are."""
        try:
            threading.Thread(target=self._work, name=f"check-{self._threads + 1}", daemon=True).start()
            self._threads += 1
        except RuntimeError:
            if not self._threads:
                raise

    def _work(self) -> None:
        probe = Probe(self._origin, self._limits, self._contexts, self._resolver, self._networks, self._stalls)
        while True:
            self._finished.put(probe.check(self._submitted.get()))
