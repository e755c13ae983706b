"""The engine on requests: a bounded pool of threads."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING

from monitoring_core.clock import to_ms
from monitoring_core.result import CheckResult
from monitoring_runtime.memory import keep_memory_together
from producer_svc.checks.http.client_certificates import ClientCertificates
from producer_svc.checks.http.limits import Limits
from producer_svc.checks.http.requests_adapter import TlsContexts
from producer_svc.checks.http.requests_probe import Probe
from producer_svc.checks.http.resolver import Resolver
from producer_svc.checks.network import DeniedNetworks
from producer_svc.checks.stalls import StallWatch

if TYPE_CHECKING:
    from monitoring_core.config import MonitorConfig
    from producer_svc.check import Check, Origin

# The target's id and the moment, milliseconds since the epoch.
_Slot = tuple[int, int]


class RequestsEngine:
    """Runs at most `monitor.max_concurrent_checks` checks at once, each in a thread that begins when it is needed."""

    def __init__(self, config: MonitorConfig) -> None:
        keep_memory_together()
        self._config = config
        self._limits = Limits.of(config)
        self._contexts = TlsContexts(ClientCertificates(config.client_certificate_directory))
        self._networks = DeniedNetworks(config.denied_networks)
        self._stalls = StallWatch()
        self._resolver = Resolver(config.dns_cache)
        self._submitted: queue.SimpleQueue[tuple[Check, Origin]] = queue.SimpleQueue()
        # Not a SimpleQueue: up to Python 3.12, a signal near the end of its wait makes it wait for ever.
        self._finished: queue.Queue[CheckResult] = queue.Queue()
        self._running: dict[_Slot, Check] = {}
        self._threads = 0

    @property
    def lead_s(self) -> float:
        """How long before it is due a check may be submitted: a check begins when it is submitted."""
        return 0.0

    @property
    def free(self) -> int:
        """How many more checks can be submitted now."""
        return self._config.max_concurrent_checks - len(self._running)

    @property
    def running(self) -> int:
        """How many checks are submitted and not yet drained as finished."""
        return len(self._running)

    def submit(self, check: Check, origin: Origin) -> None:
        """Begin a check. It ends within its target's timeout."""
        self._contexts.renew()
        self._running[check.target.id, check.scheduled_ms] = check
        if self._threads < len(self._running):
            self._begin_thread()
        self._submitted.put((check, origin))

    def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
        """The results since the last call; while they are not `enough`, waits for more, at most `wait_s` seconds."""
        until, results = time.monotonic() + wait_s, list[CheckResult]()
        with contextlib.suppress(queue.Empty):
            while True:
                left_s = until - time.monotonic() if len(results) < enough else 0.0
                results.append(self._finished.get(timeout=left_s) if left_s > 0 else self._finished.get_nowait())
        # The result of a check that was abandoned is dropped, as is the second one of a check submitted twice.
        return [r for r in results if self._running.pop((r.target_id, to_ms(r.scheduled_at)), None)]

    def abandon(self) -> list[Check]:
        """Give up the running checks and return them; their results will never be drained."""
        abandoned = list(self._running.values())
        self._running.clear()
        return abandoned

    def _begin_thread(self) -> None:
        """Begin one more thread. When the machine has no more, the threads that run already make the check."""
        try:
            threading.Thread(target=self._work, name=f"check-{self._threads + 1}", daemon=True).start()
            self._threads += 1
        except RuntimeError:
            if not self._threads:
                raise

    def _work(self) -> None:
        probe = Probe(self._limits, self._contexts, self._resolver, self._networks, self._stalls)
        while True:
            self._finished.put(probe.check(*self._submitted.get()))
