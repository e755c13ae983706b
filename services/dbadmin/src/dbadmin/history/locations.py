"""Locations: which have results, and forgetting one that was a mistake or is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg.rows import class_row

from dbadmin.connect import connected
from monitoring_core.errors import StopError
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    import datetime as dt

    import psycopg

    from monitoring_core.config import DatabaseConfig

_LIST = """
SELECT l.location AS name, l.first_at, s.last_at, coalesce(s.targets, 0) AS targets,
    coalesce(p.producers, 0) AS producers
FROM (
    SELECT location, first_at FROM {availability_location} WHERE forgotten_at IS NULL
    UNION ALL
    SELECT DISTINCT location, NULL::timestamptz FROM {producer_lease} WHERE location NOT IN (
        SELECT location FROM {availability_location} WHERE forgotten_at IS NULL)
) l
LEFT JOIN (
    SELECT location, max(scheduled_at) AS last_at, count(*) AS targets FROM {availability_state}
    GROUP BY location
) s ON s.location = l.location
LEFT JOIN (
    SELECT location, count(*) AS producers FROM {producer_lease} WHERE expires_at > now() GROUP BY location
) p ON p.location = l.location
ORDER BY l.location"""

# Maintenance writes a location and its states in one transaction: it does so before this lock, and loses them, or after
# it, and finds the location forgotten.
_LOCK = "LOCK TABLE {availability_location} IN EXCLUSIVE MODE"
# Incidents end at the next maintenance, which rolls up the hour that is marked.
_FORGET = (
    """
INSERT INTO {availability_location} AS old (location, first_at, forgotten_at)
VALUES (%(name)s, now(), clock_timestamp())
ON CONFLICT (location) DO UPDATE SET forgotten_at = excluded.forgotten_at""",
    """
INSERT INTO {availability_pause} (target_id, location, paused_at, resumed_at, cause)
SELECT target_id, location, now(), now(), 'location_forgotten' FROM {availability_incident}
WHERE location = %(name)s AND ended_at IS NULL ON CONFLICT DO NOTHING""",
    "INSERT INTO {availability_dirty_hour} (hour) VALUES (date_trunc('hour', now(), 'UTC'))",
    "DELETE FROM {availability_state} WHERE location = %(name)s",
    "DELETE FROM {producer_lease} WHERE location = %(name)s",
)


@attrs.frozen
class Location:
    """A place that checks are or were made from.

    Attributes:
        first_at: slot of its first result; None without results.
        last_at: slot of its newest result, as of the last maintenance; None without results.
        targets: how many targets have results from it.
        producers: how many producer IDs are held there now.
    """

    name: str
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    targets: int
    producers: int


def read_locations(config: DatabaseConfig) -> list[Location]:
    """The locations that have results, and those that only have or had producers.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        return _read(connection, config.schema)


def forget_location(config: DatabaseConfig, name: str) -> Location:
    """Remove a location from what is shown as present, and its leases; returns what it was.

    Its results, roll-ups and incidents stay. It is listed again when it has newer results.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses; there is no such location, or producers
            work there.
    """
    with connected(config) as connection:
        _run(connection, config.schema, _LOCK, name)
        known = {location.name: location for location in _read(connection, config.schema)}
        if name not in known:
            raise StopError(f"there is no location {name}: there are {', '.join(known) or 'none'}")
        if producers := known[name].producers:
            raise StopError(f"location {name}: {producers} producers work there, stop them first")
        for statement in _FORGET:
            _run(connection, config.schema, statement, name)
    return known[name]


def _read(connection: psycopg.Connection[Any], schema: str) -> list[Location]:
    with connection.cursor(row_factory=class_row(Location)) as cursor:
        return cursor.execute(composed(_LIST, schema)).fetchall()


def _run(connection: psycopg.Connection[Any], schema: str, statement: str, name: str) -> None:
    connection.execute(composed(statement, schema), {"name": name})
