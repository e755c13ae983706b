"""Alerts as a person sees them: the newest transition of each, the way of one, and who looks after it."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from monitoring_core.errors import OutageError, StopError
from monitoring_core.revision import ALERT_NEEDS
from monitoring_runtime.postgres import RevisionGuard, Trouble, composed, connect, diagnose, explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig

STATEMENT_TIMEOUT_S = 60.0
_SHORTEST_ID = 6
_ID = re.compile(rf"[0-9a-f]{{{_SHORTEST_ID},32}}")

_NEWEST = """
SELECT t.alert_id, t.state, t.severity, t.policy, t.kind, t.target_id, t.url, t.labels, t.since, t.at, t.locations,
    t.cause, t.silenced_by, t.silenced_window, a.acknowledged_at, a.acknowledged_by, a.note
FROM (
    SELECT DISTINCT ON (alert_id) * FROM {alert_transition} ORDER BY alert_id, sequence DESC
) t LEFT JOIN {alert_acknowledgement} a USING (alert_id)
WHERE NOT %(open)s OR t.state NOT IN ('ok', 'resolved')
ORDER BY t.state IN ('ok', 'resolved'), t.at DESC, t.alert_id LIMIT %(limit)s"""
_WAY = """
SELECT transition_id, alert_id, state, before, at, since, decided_at, stored_at, severity, policy, kind, target_id, url,
    labels, locations, cause, silenced_by, silenced_window, step_s, evidence
FROM {alert_transition} WHERE alert_id = %s ORDER BY sequence"""
_FIND = "SELECT DISTINCT alert_id FROM {alert_transition} WHERE starts_with(alert_id, %s) LIMIT 2"
# Whoever looks after it first stays named.
_ACKNOWLEDGE = """
INSERT INTO {alert_acknowledgement} AS old (alert_id, acknowledged_by, note) VALUES (%s, %s, %s)
ON CONFLICT (alert_id) DO UPDATE SET note = coalesce(excluded.note, old.note)
RETURNING acknowledged_at, acknowledged_by, (
    SELECT t.state IN ('ok', 'resolved') FROM {alert_transition} t WHERE t.alert_id = old.alert_id
    ORDER BY t.sequence DESC LIMIT 1) AS ended"""

Row = dict[str, Any]


class PostgresAlerts:
    """The alerts in the database.

    Raises, from every method:
        OutageError: PostgreSQL cannot be reached.
        StopError: it refuses, or there is no such alert.
    """

    def __init__(self, config: DatabaseConfig) -> None:
        self._config = config

    def newest(self, only_open: bool, limit: int | None) -> list[Row]:
        """The newest transition of each alert, open ones first, with who looks after it."""
        with self._cursor() as cursor:
            return cursor.execute(
                composed(_NEWEST, self._config.schema), {"open": only_open, "limit": limit}
            ).fetchall()

    def way(self, alert_id: str) -> list[Row]:
        """All transitions of an alert, in order. Args: alert_id: its begin is enough."""
        with self._cursor() as cursor:
            return cursor.execute(composed(_WAY, self._config.schema), (self._found(cursor, alert_id),)).fetchall()

    def acknowledge(self, alert_id: str, who: str | None, note: str | None) -> Row:
        """Note that somebody looks after an alert; returns since when, who, and whether the alert has ended already.

        Args:
            alert_id: its begin is enough.
        """
        with self._cursor() as cursor:
            found = self._found(cursor, alert_id)
            (row,) = cursor.execute(composed(_ACKNOWLEDGE, self._config.schema), (found, who, note)).fetchall()
            return {"alert_id": found, **row}

    def _found(self, cursor: psycopg.Cursor[Row], begin: str) -> str:
        if not _ID.fullmatch(begin):
            raise StopError(f"{begin[:40]!r} is no ID of an alert: {_SHORTEST_ID} to 32 of the characters 0-9 and a-f")
        found = cursor.execute(composed(_FIND, self._config.schema), (begin,)).fetchall()
        if not found:
            raise StopError(f"there is no alert {begin}: alert-svc list shows all")
        if len(found) > 1:
            raise StopError(f"several alerts begin with {begin}: give more of the ID")
        return str(found[0]["alert_id"])

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[Row]]:
        try:
            with connect(self._config, "alert-svc", statement_timeout_s=STATEMENT_TIMEOUT_S) as connection:
                RevisionGuard(ALERT_NEEDS, self._config).check(connection)
                with connection.cursor(row_factory=dict_row) as cursor:
                    yield cursor
        except psycopg.Error as error:
            away = diagnose(error).trouble is Trouble.UNREACHABLE
            raise (OutageError if away else StopError)(explain(error, self._config, "cannot show alerts")) from None
