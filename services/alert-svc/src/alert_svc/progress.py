"""Up to when results are decided: what the loop knows of that, for whoever says that all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.define
class Progress:
    """Written by the loop, and read by other threads.

    Attributes:
        decided_until: the moment, in milliseconds since the epoch, up to which everything is decided that is this
            process's to decide.
    """

    decided_until: int

    def note(self, now: int, clocks: Iterable[int | None], *, complete: bool) -> None:
        """Take the clocks of the partitions that are decided.

        Args:
            complete: whether these are all that are assigned, some are, and nothing keeps them from being decided.
        """
        known = (clock for clock in clocks if clock is not None)
        self.decided_until = min([now if complete else self.decided_until, *known])
