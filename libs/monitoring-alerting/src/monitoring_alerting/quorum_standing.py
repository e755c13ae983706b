"""What holds the next word about a quorum back: flapping, blindness, and a parent that is down."""

from __future__ import annotations

import attrs

from monitoring_alerting.standing import Standing
from monitoring_alerting.terms import Phase, Terms
from monitoring_alerting.transition import State


@attrs.define
class QuorumStanding(Standing):
    """What was told last, and what the votes say meanwhile.

    Attributes:
        changes: when alerts opened and closed lately, in milliseconds.
        blind: whether votes have been missing for so long that this is told.
        waits: whether an alert is held back because of a parent.
        fired_at: when the votes opened the alert.
    """

    phase: Phase = Phase.OK
    changes: list[int] = attrs.field(factory=list)
    flapping: bool = False
    blind: bool = False
    waits: bool = False
    fired_at: int = 0

    def changed(self, phase: Phase, at: int, terms: Terms) -> None:
        """Take a phase; openings and closings are counted."""
        opens = self.phase < Phase.FIRING <= phase
        if opens:
            self.fired_at = at
        if opens or (self.phase >= Phase.FIRING and phase is Phase.OK):
            self.changes = [*(change for change in self.changes if change > at - terms.within_ms), at]
            self.flapping = self.flapping or len(self.changes) > terms.changes
        self.phase = phase

    def calm_at(self, terms: Terms) -> int | None:
        """When flapping ends: nothing has changed for half of the time in which changes are counted."""
        return self.changes[-1] + terms.within_ms // 2 if self.flapping else None

    def rests_until(self, terms: Terms) -> int:
        """Up to when nothing but the last openings and closings is remembered; 0 when there is more to remember."""
        over = self.told is State.OK and self.phase is Phase.OK and not (self.blind or self.flapping or self.waits)
        return self.changes[-1] + terms.within_ms if over and self.changes else 0

    @property
    def wanted(self) -> State:
        """What is to be told, if no parent holds it back."""
        if self.flapping:
            return State.FLAPPING
        if self.blind:
            return State.UNDETERMINED
        match self.phase:
            case Phase.OK:
                return State.RESOLVED if self.loud else State.OK
            case Phase.SUSPECTED:
                return State.SUSPECTED
            case Phase.FIRING:
                return State.FIRING
        return State.RECOVERING if self.loud else State.SUSPECTED

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        return self.told is State.OK and self.phase is Phase.OK and not (self.changes or self.blind or self.flapping)
