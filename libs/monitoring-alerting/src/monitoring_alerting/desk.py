"""What a track needs from whoever keeps it: the clock, the parents, and a place for what it has to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from monitoring_alerting.policies import Policy
    from monitoring_alerting.targets import Watched
    from monitoring_alerting.transition import Note, Parent, Transition


class Desk(Protocol):
    """The clock, the parents, and a place for transitions and notes."""

    @property
    def now(self) -> int | None:
        """Where the clock stands, in milliseconds; None before there is a time."""
        ...

    def tell(self, transition: Transition) -> None:
        """Take a transition."""
        ...

    def note(self, note: Note) -> None:
        """Take a note about a late result."""
        ...

    def parent(self, target: Watched, policy: Policy, since: int) -> tuple[Parent | None, bool]:
        """The parent of a target that is down, if one is; else whether one may be and must be waited for.

        Args:
            since: the moment of the target's first bad slot.
        """
        ...
