"""Maintenance windows in PostgreSQL: which transition is kept from being sent, and what is told when one is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from psycopg import sql

from monitoring_alerting.transition import identity
from monitoring_alerting.windows import Window, Windows
from monitoring_core.tables import TRANSITION_TABLE, WINDOW_TABLE

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    import psycopg

    from monitoring_alerting.transition import Transition

log = structlog.get_logger()

# Changes with any value of any row, whoever changed it.
_FINGERPRINT = "SELECT count(*), sum(hashtextextended(w::text, 0)) FROM {windows} w"
_READ = "SELECT window_id, match, begins_at, ends_at, zone, recurrence, ended_at FROM {windows}"
# Alerts whose newest transition was kept back. Of those that have ended meanwhile, only ones that people know of count.
_KEPT_BACK = """
SELECT t.transition_id, t.target_id, t.labels, t.silenced_window, clock_timestamp() FROM {transitions} t
WHERE t.silenced_window IS NOT NULL
AND NOT EXISTS (SELECT FROM {transitions} n WHERE n.alert_id = t.alert_id AND n.sequence > t.sequence)
AND (t.state IN ('firing', 'undetermined', 'flapping') OR t.state = 'resolved' AND EXISTS (
    SELECT FROM {transitions} o WHERE o.alert_id = t.alert_id AND o.silenced_window IS NULL
    AND o.state IN ('firing', 'undetermined', 'flapping')))"""
_TELL = """
INSERT INTO {transitions} (transition_id, alert_id, target_id, policy, kind, severity, state, before, at, since,
    decided_at, locations, evidence, cause, silenced_by, step_s, url, labels)
SELECT %(id)s, alert_id, target_id, policy, kind, severity, state, state, %(now)s, since, decided_at,
    locations, evidence, %(cause)s, silenced_by, step_s, url, labels
FROM {transitions} WHERE transition_id = %(of)s ON CONFLICT DO NOTHING"""


class Maintenance:
    """The windows as they are in the table. Each call is part of the caller's transaction."""

    def __init__(self, schema: str) -> None:
        self._names = {
            "windows": sql.Identifier(schema, WINDOW_TABLE),
            "transitions": sql.Identifier(schema, TRANSITION_TABLE),
        }
        self._fingerprint: tuple[object, ...] | None = None
        self._windows = Windows(())
        self._told_of: set[int] = set()

    def silencing(self, cursor: psycopg.Cursor[Any], transitions: Sequence[Transition]) -> list[int | None]:
        """For each transition the window that keeps it from being sent."""
        windows = self._current(cursor)
        return [self._holding(windows, one.at, one.labels) for one in transitions]

    def tell_what_lasts(self, cursor: psycopg.Cursor[Any], is_mine: Callable[[int], bool]) -> int:
        """Tell again, under the same alert, what a window kept back that is over; returns how many.

        Args:
            is_mine: whether this process decides a target.
        """
        windows = self._current(cursor)
        told = 0
        for number, target_id, labels, window, now in cursor.execute(self._composed(_KEPT_BACK)).fetchall():
            if not is_mine(target_id) or self._holding(windows, now, labels or {}) is not None:
                continue
            values = {
                "id": identity(number, "window over"),
                "of": number,
                "now": now,
                "cause": f"maintenance window {window} is over",
            }
            told += cursor.execute(self._composed(_TELL), values).rowcount
        return told

    def _holding(self, windows: Windows, moment: dt.datetime, labels: Any) -> int | None:
        holding = windows.holding(moment, labels)
        for number, problem in windows.faulty.items():
            if number not in self._told_of:
                self._told_of.add(number)
                log.error("a maintenance window cannot be used: it silences nothing", window=number, error=problem)
        return holding

    def _current(self, cursor: psycopg.Cursor[Any]) -> Windows:
        fingerprint = cursor.execute(self._composed(_FINGERPRINT)).fetchone()
        if fingerprint != self._fingerprint:
            rows = cursor.execute(self._composed(_READ)).fetchall()
            names = ("id", "match", "begins_at", "ends_at", "zone", "recurrence", "ended_at")
            self._windows = Windows(Window(**dict(zip(names, row, strict=True))) for row in rows)
            self._fingerprint = fingerprint
            self._told_of.clear()
        return self._windows

    def _composed(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(**self._names)
