"""Maintenance windows in PostgreSQL: which transition is kept from being sent, and what is told when one is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alert_svc.windows import WindowTable
from monitoring_alerting.transition import identity
from monitoring_core.clock import from_ms
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg

    from monitoring_alerting.transition import Transition

# Alerts whose newest transition was kept back. Of those that have ended meanwhile, only ones that people know of count.
_KEPT_BACK = """
SELECT t.transition_id, t.target_id, t.labels, t.silenced_window, clock_timestamp() FROM {alert_transition} t
WHERE t.silenced_window IS NOT NULL
AND NOT EXISTS (SELECT FROM {alert_transition} n WHERE n.alert_id = t.alert_id AND n.sequence > t.sequence)
AND (t.state IN ('firing', 'undetermined', 'flapping') OR t.state = 'resolved' AND EXISTS (
    SELECT FROM {alert_transition} o WHERE o.alert_id = t.alert_id AND o.silenced_window IS NULL
    AND o.state IN ('firing', 'undetermined', 'flapping')))"""
_TELL = """
INSERT INTO {alert_transition} (transition_id, alert_id, target_id, policy, kind, severity, state, before, at, since,
    decided_at, locations, evidence, cause, silenced_by, step_s, url, labels)
SELECT %(id)s, alert_id, target_id, policy, kind, severity, state, CASE WHEN cause IS NULL THEN state ELSE before END,
    %(now)s, since, decided_at, locations, evidence, concat_ws('; ', cause, %(cause)s::text), silenced_by, step_s, url,
    labels
FROM {alert_transition} WHERE transition_id = %(of)s ON CONFLICT DO NOTHING"""


class Maintenance:
    """What windows do to transitions. Each call is part of the caller's transaction."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._windows = WindowTable(schema)

    def silencing(self, cursor: psycopg.Cursor[Any], transitions: Sequence[Transition]) -> list[int | None]:
        """For each transition the window that keeps it from being sent."""
        self._windows.look(cursor)
        return [self._windows.holding(one.at, one.labels) for one in transitions]

    def tell_what_lasts(self, cursor: psycopg.Cursor[Any], decided_until: Callable[[int], int | None]) -> int:
        """Tell again, under the same alert, what a window kept back that is over; returns how many.

        While results are decided late, what was kept back may have ended within the window: it is not over for a target
        before everything within it is decided.

        Args:
            decided_until: up to when (ms) a target is decided; None for one that this process does not decide.
        """
        self._windows.look(cursor)
        told = 0
        for number, target_id, labels, window, now in cursor.execute(composed(_KEPT_BACK, self._schema)).fetchall():
            until = decided_until(target_id)
            moments = () if until is None else (now, min(now, from_ms(until)))
            if not moments or any(self._windows.holding(moment, labels or {}) is not None for moment in moments):
                continue
            values = {
                "id": identity(number, "window over"),
                "of": number,
                "now": now,
                "cause": f"maintenance window {window} is over",
            }
            told += cursor.execute(composed(_TELL, self._schema), values).rowcount
        return told
