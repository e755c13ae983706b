"""The ID that a producer wants to hold, and what it takes over with it."""

from __future__ import annotations

import attrs


@attrs.frozen
class Claim:
    """An ID, and what comes with it.

    Attributes:
        producer_id: the ID; None for the lowest free ID that the active targets need.
        websites_per_container: how many targets each ID works.
        max_look_back_ms: how far back a producer accounts for the slots of one that died.
    """

    producer_id: int | None
    websites_per_container: int
    max_look_back_ms: int
