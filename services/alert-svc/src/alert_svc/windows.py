"""Maintenance windows as they are in PostgreSQL, for whoever asks which of them hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from monitoring_alerting.windows import Window, Windows
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import psycopg

log = structlog.get_logger()

# Changes with every row that is written, whoever writes it: it is of another transaction then. For 10,000 windows this
# takes 1 ms; a hash of all values took 15.
_FINGERPRINT = "SELECT count(*), sum(hashint8extended(window_id, xmin::text::bigint)) FROM {maintenance_window}"
_READ = "SELECT window_id, match, begins_at, ends_at, zone, recurrence, ended_at FROM {maintenance_window}"


class WindowTable:
    """The windows as they were when they were last looked at."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._fingerprint: tuple[object, object] | None = None
        self._windows = Windows(())
        self._told_of: set[int] = set()

    def look(self, cursor: psycopg.Cursor[Any]) -> None:
        """Read the windows again if they have changed, in the transaction of the caller."""
        # Another connection may be to another copy of the database, where other transactions have the same numbers.
        fingerprint = (
            cursor.connection.info.backend_pid,
            cursor.execute(composed(_FINGERPRINT, self._schema)).fetchone(),
        )
        if fingerprint == self._fingerprint:
            return
        rows = cursor.execute(composed(_READ, self._schema)).fetchall()
        names = ("id", "match", "begins_at", "ends_at", "zone", "recurrence", "ended_at")
        self._windows = Windows(Window(**dict(zip(names, row, strict=True))) for row in rows)
        self._fingerprint = fingerprint
        self._told_of.clear()

    def holding(self, moment: dt.datetime, labels: Mapping[str, str]) -> int | None:
        """The window that holds for a target with these labels; None for none."""
        found = self._windows.holding(moment, labels)
        self._tell_of_faults()
        return found

    def held_until(self, moment: dt.datetime, labels: Mapping[str, str]) -> dt.datetime | None:
        """When that window ends; None where none holds."""
        found = self._windows.held_until(moment, labels)
        self._tell_of_faults()
        return found

    def _tell_of_faults(self) -> None:
        for number, problem in self._windows.faulty.items():
            if number not in self._told_of:
                self._told_of.add(number)
                log.error("a maintenance window cannot be used: it silences nothing", window=number, error=problem)
