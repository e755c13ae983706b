"""Rolls up the rows of a test, as maintain does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbadmin.history.rollups import dirty_days, dirty_hours, roll_up_day, roll_up_hour

if TYPE_CHECKING:
    import psycopg


def roll_up_all(connection: psycopg.Connection[Any]) -> None:
    """Mark each hour that has rows, and roll it up with its day."""
    connection.execute(
        "INSERT INTO monitoring.availability_dirty_hour "
        "SELECT DISTINCT date_trunc('hour', scheduled_at, 'UTC') FROM monitoring.availability_result"
    )
    for hour in dirty_hours(connection, "monitoring"):
        roll_up_hour(connection, "monitoring", hour)
    for day in dirty_days(connection, "monitoring"):
        roll_up_day(connection, "monitoring", day)
