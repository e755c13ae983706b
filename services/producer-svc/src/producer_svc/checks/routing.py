"""One engine in front of the engines of several kinds: it shares out the places, and routes each check by its kind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_core.result import CheckResult
    from producer_svc.check import Check, Origin
    from producer_svc.ports import Engine

# Engines cannot wait together, so each waits this long in turn; results of the others are found that much later.
SLICE_S = 0.005


class RoutingEngine:
    """Runs at most `places` checks at once, whatever their kinds."""

    def __init__(self, by_kind: Mapping[str, Engine], places: int) -> None:
        self._by_kind = by_kind
        self._engines = list({id(engine): engine for engine in by_kind.values()}.values())
        self._places = places

    @property
    def lead_s(self) -> float:
        """How long before it is due a check may be submitted: what every engine allows."""
        return min(engine.lead_s for engine in self._engines)

    @property
    def free(self) -> int:
        """How many more checks can be submitted now."""
        return self._places - self.running

    @property
    def running(self) -> int:
        """How many checks are submitted and not yet drained as finished."""
        return sum(engine.running for engine in self._engines)

    def submit(self, check: Check, origin: Origin) -> None:
        """Begin a check with the engine of its kind. It ends within its target's timeout."""
        kind = check.target.url.partition(":")[0].lower()
        self._by_kind[kind].submit(check, origin)

    def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
        """The results since the last call; while they are not `enough`, waits for more, at most `wait_s` seconds."""
        until = time.monotonic() + wait_s
        finished = self._drain(self._engines, 0.0, enough)
        while len(finished) < enough and (left_s := until - time.monotonic()) > 0:
            busy = [engine for engine in self._engines if engine.running] or self._engines[:1]
            wait_s = left_s if len(busy) == 1 else min(left_s, SLICE_S)
            finished += self._drain(busy, wait_s, enough - len(finished))
        return finished

    def abandon(self) -> list[Check]:
        """Give up the running checks and return them; their results will never be drained."""
        return [check for engine in self._engines for check in engine.abandon()]

    def _drain(self, engines: list[Engine], wait_s: float, enough: int) -> list[CheckResult]:
        return [result for engine in engines for result in engine.drain_finished(wait_s, enough)]
