"""The clock as an object that is passed in, so that tests can set the time."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


class Clock(Protocol):
    """A wall clock for slots and a monotonic clock for durations."""

    def now_ms(self) -> int:
        """Wall clock: whole milliseconds since the UTC epoch."""
        ...

    def monotonic(self) -> float:
        """Monotonic clock: seconds since an arbitrary moment."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now_ms(self) -> int:
        """Wall clock: whole milliseconds since the UTC epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Monotonic clock: seconds since an arbitrary moment."""
        return time.monotonic()


def from_ms(epoch_ms: int) -> dt.datetime:
    """The UTC moment that lies `epoch_ms` milliseconds after the epoch, exactly."""
    return EPOCH + epoch_ms * _MILLISECOND


def for_people(moment: dt.datetime) -> str:
    """An aware moment as people read it, to the second: 2026-11-24 10:00:00 UTC."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def to_ms(moment: dt.datetime) -> int:
    """Whole milliseconds from the epoch to an aware `moment`, rounded down."""
    return (moment - EPOCH) // _MILLISECOND
