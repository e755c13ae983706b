"""The port Database with rows that a test makes up."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

from monitoring_core.errors import OutageError

if TYPE_CHECKING:
    from collections.abc import Mapping

AT = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
PUBLIC = {"status_page": "public"}


class Rows:
    """Answers each statement with the rows of the view that it names first.

    Attributes:
        away: whether PostgreSQL is.
        asked: every statement.
        others: rows by the name of a view, which may be cut off.
        left_out: rows of website_status of targets that pages leave out, because there are too many.
        logouts: who was logged out, and when.
        clock: of PostgreSQL.
    """

    def __init__(self, *status: dict[str, Any], **others: list[dict[str, Any]]) -> None:
        self.away = False
        self.asked: list[str] = []
        self.status = list(status)
        self.others = others
        self.left_out: list[dict[str, Any]] = []
        self.logouts: dict[str, float] = {}
        self.clock = itertools.count(1.0)

    async def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        self.asked.append(statement)
        await asyncio.sleep(0)
        if self.away:
            raise OutageError("the server is away")
        if "INSERT INTO {status_logout}" in statement:
            self.log_out(str((values or {})["who"]))
            return []
        if "status_logout" in statement:
            return [{"who": who, "ended_at": at} for who, at in self.logouts.items()]
        if "clock_timestamp" in statement:
            return [{"now": next(self.clock)}]
        if "AS targets" in statement and "website_target" in statement:
            return [{"targets": [one["target_id"] for one in self.status] if self.left_out else None}]
        if "website_status" in statement:
            wanted = (values or {}).get("targets")
            known = [*self.status, *self.left_out]
            return [one for one in known if not isinstance(wanted, list) or one["target_id"] in wanted]
        return next((rows for name, rows in self.others.items() if name in statement), [])

    def log_out(self, who: str) -> None:
        """End the logins of somebody, as an operator does."""
        self.logouts[who] = next(self.clock)

    async def tuples(self, statement: str, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in await self.rows(statement, values)]


def status(target: int, url: str, labels: dict[str, str], **values: Any) -> dict[str, Any]:
    """A row of website_status that is up."""
    return {
        "target_id": target,
        "url": url,
        "location": "berlin",
        "status": "up",
        "reason": None,
        "since": AT,
        "last_check_at": AT,
        "response_time_s": 0.1,
        "http_status": 200,
        "certificate_expires_at": None,
        "active": True,
        "stale": False,
        "error": None,
        "remote_address": "10.0.0.1",
        "certificate_subject": None,
        "certificate_issuer": None,
        "labels": labels,
    } | values
