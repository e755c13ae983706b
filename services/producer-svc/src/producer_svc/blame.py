"""Whose fault a failure is: the website's, or that of the prober's own network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import structlog

from monitoring_core.clock import from_ms
from monitoring_core.result import CheckResult, Reason, Status, one_line

if TYPE_CHECKING:
    import datetime as dt

    from monitoring_core.clock import Clock
    from producer_svc.ports import Canaries

log = structlog.get_logger()

# The reasons that both a broken website and a prober without network can cause.
NETWORK_REASONS = frozenset({Reason.TIMEOUT, Reason.DNS_ERROR, Reason.CONNECTION_ERROR, Reason.BODY_READ_ERROR})


@attrs.define
class Blame:
    """Holds each failure that the prober's network may have caused, until a round of canaries begun after it ends.

    When no canary answers, and fewer websites answer during the round than have failed, the prober's own network is
    down. The failures are then excused until a canary answers again, as are later ones of checks begun before that.

    Attributes:
        down: whether the prober's own network counts as down.
    """

    _canaries: Canaries | None
    _clock: Clock
    down: bool = attrs.field(default=False, init=False)
    # Whether a round is running, and the failures from before its start, which it decides.
    _asking: bool = attrs.field(default=False, init=False)
    _asked: list[CheckResult] = attrs.field(factory=list, init=False)
    # The failures that came since the round began; the next round decides them.
    _held: list[CheckResult] = attrs.field(factory=list, init=False)
    # When the last failure in `_asked` ended, and the ids of websites that answered a check begun after that.
    _since: dt.datetime | None = attrs.field(default=None, init=False)
    _answered: set[int] = attrs.field(factory=set, init=False)
    # When the network worked again, on the monotonic clock because somebody may set the wall clock.
    _recovered: float | None = attrs.field(default=None, init=False)

    @property
    def holding(self) -> int:
        """How many results wait for a verdict."""
        return len(self._asked) + len(self._held)

    def accept(self, result: CheckResult) -> list[CheckResult]:
        """Decide about a finished result; returns it, or nothing while it is held."""
        if self._canaries is None or result.started_at is None or result.status is Status.UNKNOWN:
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
        """The results that a finished round has decided, with their final verdicts; empty while the round runs."""
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
        """The results that are still undecided at a stop, changed to unknown."""
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
