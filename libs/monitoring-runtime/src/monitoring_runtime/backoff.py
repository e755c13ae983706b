"""Jittered back-off for whatever waits until an outage is over."""

from __future__ import annotations

import random


class Backoff:
    """Delays that double up to a maximum, each drawn at random from its upper half.

    The jitter keeps many processes that lost the same server from coming back at the same moment. It only says how
    long: the caller waits, on whatever also wakes it when it is to stop.
    """

    def __init__(self, initial_s: float = 0.2, maximum_s: float = 10.0) -> None:
        self._initial_s = initial_s
        self._maximum_s = maximum_s
        self._ceiling_s = initial_s

    def next(self) -> float:
        """Seconds to wait before the next try."""
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(2 * ceiling_s, self._maximum_s)
        return ceiling_s * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)

    def reset(self) -> None:
        """Begin again with the shortest delay: the last try succeeded."""
        self._ceiling_s = self._initial_s
