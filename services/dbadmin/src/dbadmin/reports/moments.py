"""Months and moments; spans of time are counted in milliseconds, as slots are."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)


def moment(ms: int) -> dt.datetime:
    """The moment so many milliseconds after the epoch, in UTC."""
    return _EPOCH + ms * _MILLISECOND


def month_span(month: str, zone: str) -> tuple[dt.datetime, dt.datetime]:
    """When a month like 2026-10 begins and ends in a time zone, in UTC.

    Raises:
        ValueError: there is no such month, or no such time zone.
    """
    found = _MONTH.fullmatch(month)
    year = int(found[1]) if found else 0
    if found is None or not 1970 <= year < 9999:
        raise ValueError(f"{month!r} is no month like 2026-10")
    try:
        place = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{zone!r} is no time zone like Europe/Berlin") from None
    number = year * 12 + int(found[2]) - 1
    begin, end = (dt.datetime(n // 12, n % 12 + 1, 1, tzinfo=place).astimezone(dt.UTC) for n in (number, number + 1))
    return begin, end
