"""What the assignment tells the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from monitoring_core.targets import Target


@attrs.frozen
class Update:
    """What has changed.

    Attributes:
        producer_id: the ID that is held; None while standing by, and then there are no targets.
        given_up: whether the ID held before was given up because nobody needs it; slots that were due then are still
            this producer's.
        added: targets that are new or have changed, each with the moment (milliseconds since the epoch) from which
            its slots are this producer's to account for.
        removed: ids of targets that are no longer worked.
        targets: how many targets are worked now.
        invalid: how many targets of the range cannot be checked.
        complete: False while the rest of the range is still being read; it follows in later updates.
    """

    producer_id: int | None
    given_up: bool = False
    added: tuple[tuple[Target, int], ...] = ()
    removed: tuple[int, ...] = ()
    targets: int = 0
    invalid: int = 0
    complete: bool = True
