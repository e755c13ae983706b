"""Results to publish, and the row that each must become."""

from __future__ import annotations

import datetime as dt
from typing import Any

from monitoring_core.result import CheckResult, Reason, Status

Key = tuple[int, dt.datetime, str]
Row = tuple[int, dt.datetime, str, int, str, str | None, float | None, str | None, str | None]
COLUMNS = "target_id, scheduled_at, location, producer_id, status, reason, response_time_s, error, final_url"


def results(count: int, first: int = 0, **fields: Any) -> list[CheckResult]:
    """Numbered results of 1,000 targets: up, down and unknown ones, each with content of its own."""
    begin = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    kinds = [(Status.UP, None), (Status.DOWN, Reason.TIMEOUT), (Status.UNKNOWN, Reason.MISSED_WINDOW)]
    made = []
    for number in range(first, first + count):
        status, reason = kinds[number % 3]
        values: dict[str, Any] = {
            "target_id": number % 1000 + 1,
            "scheduled_at": begin + dt.timedelta(milliseconds=number),
            "location": "here",
            "producer_id": 1,
            "status": status,
            "reason": reason,
            "response_time_s": number % 4096 / 8,
            "error": f"message {number}, \t\\N ünïcödé" if reason else None,
            "final_url": f"https://example.org/{number}" if reason else None,
        }
        made.append(CheckResult(**values | fields))
    return made


def row_of(result: CheckResult) -> Row:
    """The row that a result must become, as `COLUMNS` says."""
    return (
        *(result.target_id, result.scheduled_at, result.location, result.producer_id, str(result.status)),
        *(str(result.reason) if result.reason else None, result.response_time_s, result.error, result.final_url),
    )
