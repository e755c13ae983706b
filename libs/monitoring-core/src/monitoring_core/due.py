"""What was due in a time, and shares of it: all that says how available a website was counts alike."""

from __future__ import annotations

import datetime as dt

from monitoring_core.schedule import slot_at_or_after

# So long after an hour its results are in PostgreSQL: until then nothing is told of it.
RESULTS_WITHIN = dt.timedelta(minutes=10)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
# Shares are given to the millionth.
_SHARE = 1_000_000


def milliseconds(moment: dt.datetime) -> int:
    """The first millisecond since the epoch that is not before the moment: slots are whole milliseconds."""
    return -((_EPOCH - moment) // _MILLISECOND)


def slot_count(target_id: int, interval_s: int, start_ms: int, end_ms: int) -> int:
    """How many slots a target has in `[start_ms, end_ms)`, both in milliseconds since the epoch."""
    if start_ms >= end_ms:
        return 0
    return max(0, -((slot_at_or_after(target_id, interval_s, start_ms) - end_ms) // (interval_s * 1000)))


def share(part: int, whole: int) -> float | None:
    """A part of a whole, rounded down, so that 1 means all; None of nothing."""
    return part * _SHARE // whole / _SHARE if whole else None
