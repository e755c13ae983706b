"""Messages as the consumer receives them."""

from __future__ import annotations

import datetime as dt

import attrs

from monitoring_core.codec import encode
from monitoring_core.result import CheckResult, Status

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@attrs.frozen(kw_only=True)
class FakeMessage:
    """A received message."""

    _partition: int
    _offset: int
    _key: bytes | None = None
    _value: bytes | None = None
    _timestamp: tuple[int, int] = (1, 0)

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return self._timestamp


def message(offset: int, value: bytes | None = None, partition: int = 0) -> FakeMessage:
    """A message with the result of target `offset + 1`, or with another value under the same key."""
    good = CheckResult(target_id=offset + 1, scheduled_at=AT, location="x", producer_id=1, status=Status.UP)
    return FakeMessage(
        partition=partition,
        offset=offset,
        key=b"%d" % (offset + 1),
        value=encode(good) if value is None else value,
    )
