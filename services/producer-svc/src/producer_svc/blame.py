"""Whose fault a failure is: the website's, or that of the prober's own network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import structlog

from monitoring_core.clock import from_ms
from monitoring_core.result import CheckResult, Reason, one_line

if TYPE_CHECKING:
    import datetime as dt

    from monitoring_core.clock import Clock
    from producer_svc.ports import Canaries

log = structlog.get_logger()

# Reasons that a broken website and a prober without network have in common.
NETWORK_REASONS = frozenset({Reason.TIMEOUT, Reason.DNS_ERROR, Reason.CONNECTION_ERROR, Reason.BODY_READ_ERROR})


@attrs.define
class Blame:
    """Holds each failure that could be the network's until canaries have been asked that began after it.

    When no canary answers, and fewer websites answer meanwhile than have failed, it is the prober's own network. All
    that failed is then excused until a canary answers again, and so is each later failure of a check that began before.

    Attributes:
        down: whether the prober's own network is taken to be down.
    """

    _canaries: Canaries | None
    _clock: Clock
    down: bool = attrs.field(default=False, init=False)
    # Whether a round of asking goes on, and the failures from before it, which it decides.
    _asking: bool = attrs.field(default=False, init=False)
    _asked: list[CheckResult] = attrs.field(factory=list, init=False)
    # Failures that came since: the next round decides them.
    _held: list[CheckResult] = attrs.field(factory=list, init=False)
    # When the last of the asked failures ended, and the websites that answered checks that began after it.
    _since: dt.datetime | None = attrs.field(default=None, init=False)
    _answered: set[int] = attrs.field(factory=set, init=False)
    # When the network worked again: monotonic, since somebody may set the wall clock.
    _recovered: float | None = attrs.field(default=None, init=False)

    @property
    def holding(self) -> int:
        """How many results wait for a verdict."""
        return len(self._asked) + len(self._held)

    def accept(self, result: CheckResult) -> list[CheckResult]:
        """Decide about a finished result: it alone, or nothing when it has to wait."""
        if self._canaries is None or result.started_at is None or result.reason is Reason.PROBER_ERROR:
            return [result]
        if result.reason not in NETWORK_REASONS:
            if self._since and result.started_at >= self._since:
                self._answered.add(result.target_id)
            if self.down and not self._asking:
                self._ask(self._canaries)
            return [result]
        self._held.append(result)
        if not self._asking:
            self._ask(self._canaries)
        return []

    def decided(self) -> list[CheckResult]:
        """The results that a round has decided, with the verdict that they deserve; empty while it goes on."""
        answer = self._canaries.poll() if self._canaries and self._asking else None
        if answer is None or self._canaries is None:
            return []
        decided, self._asked, self._asking = self._asked, [], False
        failed = {result.target_id for result in decided} - self._answered
        self._set_down(not answer and (len(failed) > len(self._answered) if decided else self.down))
        if self._held:
            self._ask(self._canaries)
        return [
            _own_fault(result, "no canary answers either") if self._excuses(result) else result for result in decided
        ]

    def rest(self) -> list[CheckResult]:
        """The results that are still undecided when there is no more time: nobody is blamed for them."""
        rest, self._asked, self._held = [*self._asked, *self._held], [], []
        return [_own_fault(result, "stopped before the canaries were asked") for result in rest]

    def _set_down(self, down: bool) -> None:
        if down and not self.down:
            log.error("no canary answers: failures are taken for those of this producer's own network")
        elif self.down and not down:
            self._recovered = self._clock.monotonic()
            log.info("the network of this producer works again")
        self.down = down

    def _excuses(self, result: CheckResult) -> bool:
        """Whether a failure is the prober's: its network is down, or was when the check began."""
        if self.down or self._recovered is None or result.started_at is None:
            return self.down
        recovered_ms = self._clock.now_ms() - round(1000 * (self._clock.monotonic() - self._recovered))
        return result.started_at < from_ms(recovered_ms)

    def _ask(self, canaries: Canaries) -> None:
        """Begin a round that decides the failures held so far."""
        self._asking, self._asked, self._held = True, self._held, []
        self._since = max((result.finished_at for result in self._asked if result.finished_at), default=None)
        self._answered.clear()
        canaries.ask()


def _own_fault(result: CheckResult, why: str) -> CheckResult:
    return result.replace(
        reason=Reason.PROBER_ERROR,
        status=Reason.PROBER_ERROR.status,
        error=one_line(f"{why}; seen: {result.reason}, {result.error}"),
    )
