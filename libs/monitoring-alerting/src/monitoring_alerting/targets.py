"""The targets that alerts are about, with what decisions need of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import attrs

from monitoring_core.schedule import phase_ms
from monitoring_core.targets import without_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_core.targets import TargetRecord

# A result is late when two intervals have passed since its slot: its check may begin until the next slot, and takes
# less than one interval.
LATE_INTERVALS = 2
# A result whose slot lies further ahead of the clock than this, and than two intervals, is from a clock that is wrong.
AHEAD_MS = 300_000
# Later than every moment.
FOREVER = 1 << 62
_NOTHING_IS_DUE = -FOREVER


# There may be a million of them, to which nothing refers weakly.
@attrs.define(weakref_slot=False)
class Watched:
    """An active target. Slots are numbered; times are milliseconds.

    Attributes:
        name: what people know it by: its URL, without credentials.
        interval: the time from one slot to the next.
        phase: the moment of slot 0.
        shift: how long after that its results say that they were due; 0, unless they were made by another rule.
    """

    id: int
    name: str
    labels: Mapping[str, str]
    interval: int
    phase: int
    shift: int = 0

    @classmethod
    def of(cls, record: TargetRecord, default_interval_s: int) -> Watched | None:
        """The target of a record; None when it is inactive or has no id, so that it has no results."""
        if record.id is None or not record.active:
            return None
        interval_s = record.check_interval_s or default_interval_s
        labels = shared_labels(frozenset((record.labels or {}).items()))
        return cls(
            record.id, without_credentials(record.url), labels, 1000 * interval_s, phase_ms(record.id, interval_s)
        )

    def slot(self, moment: int) -> int:
        """The slot nearest to a moment."""
        return (moment - self.phase + self.interval // 2) // self.interval

    def moment(self, slot: int) -> int:
        """When a slot is due."""
        return slot * self.interval + self.phase + self.shift

    def due(self, now: int | None) -> int:
        """The newest slot whose results are late if they have not come."""
        return _NOTHING_IS_DUE if now is None else (now - self.phase - self.shift) // self.interval - LATE_INTERVALS

    def last(self, now: int | None) -> int:
        """The newest slot that a right clock may have come to."""
        if now is None:
            return -_NOTHING_IS_DUE
        return (now + max(AHEAD_MS, 2 * self.interval) - self.phase - self.shift) // self.interval


@lru_cache(maxsize=4096)
def shared_labels(labels: frozenset[tuple[str, str]]) -> Mapping[str, str]:
    """The labels as a mapping that all targets with the same labels share."""
    return dict(labels)
