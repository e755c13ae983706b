"""The table of maintenance windows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
from psycopg.rows import dict_row

from dbadmin.connect import connected
from monitoring_alerting.windows import Window
from monitoring_core.errors import StopError
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    import datetime as dt

    from monitoring_core.config import DatabaseConfig

_ADD = """
INSERT INTO {maintenance_window} (match, begins_at, ends_at, zone, recurrence, note)
VALUES (%(match)s, %(begins_at)s, %(ends_at)s, %(zone)s, %(recurrence)s, %(note)s) RETURNING window_id"""
_READ = """
SELECT window_id AS id, match, begins_at, ends_at, zone, recurrence, ended_at, note, added_at, added_by, now() AS now
FROM {maintenance_window} ORDER BY window_id"""
_END = "UPDATE {maintenance_window} SET ended_at = now() WHERE window_id = %s AND ended_at IS NULL RETURNING ended_at"
_KNOWN = "SELECT FROM {maintenance_window} WHERE window_id = %s"


@attrs.frozen
class Listed:
    """A window as it is listed.

    Attributes:
        holds_until: when the occurrence ends that holds now; None while none does.
        next_at: when the next one begins, within the next 400 days; None for never.
    """

    window: Window
    note: str | None
    added_by: str
    holds_until: dt.datetime | None
    next_at: dt.datetime | None


def add_window(config: DatabaseConfig, window: Window, note: str | None) -> int:
    """Add a window; returns its number.

    Raises:
        StopError: the window has a problem, or PostgreSQL refuses.
        OutageError: PostgreSQL cannot be reached.
    """
    if problem := window.problem():
        raise StopError(f"no window was added: {problem}")
    values = attrs.asdict(window) | {"match": json.dumps(dict(window.match)), "note": note}
    with connected(config) as connection:
        row = connection.execute(composed(_ADD, config.schema), values).fetchone()
    assert row
    return int(row[0])


def read_windows(config: DatabaseConfig, look_ahead: dt.timedelta) -> list[Listed]:
    """All windows.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return [_listed(row, look_ahead) for row in cursor.execute(composed(_READ, config.schema)).fetchall()]


def end_window(config: DatabaseConfig, window_id: int) -> bool:
    """End a window for good; False when it was ended before.

    Raises:
        StopError: there is no such window, or PostgreSQL refuses.
        OutageError: PostgreSQL cannot be reached.
    """
    with connected(config) as connection:
        if connection.execute(composed(_KNOWN, config.schema), (window_id,)).fetchone() is None:
            raise StopError(f"there is no maintenance window {window_id}: dbadmin maintenance list shows all")
        return connection.execute(composed(_END, config.schema), (window_id,)).fetchone() is not None


def _listed(row: dict[str, Any], look_ahead: dt.timedelta) -> Listed:
    now, note, added_by = row.pop("now"), row.pop("note"), row.pop("added_by")
    row.pop("added_at")
    window = Window(**row)
    holds_until = next_at = None
    if window.problem() is None:
        for begin, end in window.occurrences(now, now + look_ahead):
            if begin <= now:
                holds_until = end if holds_until is None else max(end, holds_until)
            else:
                next_at = begin
                break
    return Listed(window, note, added_by, holds_until, next_at)
