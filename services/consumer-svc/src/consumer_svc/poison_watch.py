"""Whether so many messages are poison that the schema must be wrong, not the data."""

from __future__ import annotations

from collections import deque

import attrs
import structlog

log = structlog.get_logger()

# The ratio is that of about the last POISON_WINDOW messages. It is not judged below POISON_MINIMUM messages.
POISON_WINDOW = 1_000
POISON_MINIMUM = 100


@attrs.define
class PoisonWatch:
    """Follows the ratio of poison, batch by batch.

    Attributes:
        max_ratio: the share of the last messages that may be poison, 0 to 1.
        alarm: one line about poison beyond that share; None while it is within.
    """

    max_ratio: float
    alarm: str | None = attrs.field(default=None, init=False)
    # The messages of each of the last batches, and how many of them were poison.
    _last: deque[tuple[int, int]] = attrs.field(factory=deque, init=False)

    def add(self, messages: int, poison: int) -> None:
        """Count a batch, and judge the ratio anew."""
        self._last.append((messages, poison))
        total = sum(size for size, _ in self._last)
        while total - self._last[0][0] >= POISON_WINDOW:
            total -= self._last.popleft()[0]
        bad = sum(count for _, count in self._last)
        before = self.alarm
        if total < POISON_MINIMUM or bad <= self.max_ratio * total:
            self.alarm = None
            if before:
                log.info("no more poison than is allowed")
            return
        self.alarm = (
            f"{bad} of the last {total} messages were poison, more than consumer.max_dead_letter_ratio allows: "
            "are the producers newer than this consumer, or the database older?"
        )
        if not before:
            log.error("too much poison", error=self.alarm)
