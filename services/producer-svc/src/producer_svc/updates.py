"""What the assignment tells the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from monitoring_core.target import Target


@attrs.frozen
class Update:
    """What has changed.

    Attributes:
        producer_id: the ID that is held; None while standing by, and then there are no targets.
        given_up: whether nobody needs the ID that was held before: what was due then is still this producer's.
        added: targets that are new or have changed, each with the moment (milliseconds since the epoch) from which
            its slots are this producer's to account for.
        removed: ids of targets that are worked no more.
        targets: how many are worked now.
        invalid: how many of the range cannot be checked.
        complete: whether this is all; else the rest of the range is being read, and follows.
    """

    producer_id: int | None
    given_up: bool = False
    added: tuple[tuple[Target, int], ...] = ()
    removed: tuple[int, ...] = ()
    targets: int = 0
    invalid: int = 0
    complete: bool = True
