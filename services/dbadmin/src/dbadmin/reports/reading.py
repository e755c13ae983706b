"""What a report reads of PostgreSQL, all of one moment: views, so that a reader may do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql
from psycopg.types.json import Jsonb

from dbadmin.connect import one_row
from monitoring_alerting.windows import Window
from monitoring_core.tables import WINDOW_TABLE

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg

# Statements that take long are not sped up by what takes a second to compile.
_BEGIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL jit = off; SET LOCAL timezone = 'UTC'"
_PROGRESS = "SELECT now(), (SELECT rolled_up_until FROM {schema}.availability_progress)"
_MARKED_DAYS = "SELECT DISTINCT (day AT TIME ZONE 'UTC')::date FROM {schema}.availability_dirty_day"
_DUE = """
SELECT target_id, url, location, due_from, due_until, check_interval_s, coalesce(labels, '{{}}')
FROM {schema}.website_due
WHERE due_from < %(end)s AND coalesce(due_until > %(begin)s, true) AND coalesce(labels, '{{}}') @> %(labels)s
    AND (%(location)s::text IS NULL OR location = %(location)s)
ORDER BY target_id, location, due_from"""
_WINDOWS = """
SELECT window_id, match, begins_at, ends_at, zone, recurrence, ended_at FROM {schema}.{windows}
WHERE begins_at < %(end)s ORDER BY window_id"""
_INCIDENTS = """
SELECT target_id, began_at, ended_at, end_reason = 'recovered' FROM {schema}.website_incident
WHERE began_at < %(end)s AND coalesce(ended_at > %(begin)s, true)
    AND (%(location)s::text IS NULL OR location = %(location)s)"""
_SEATS = "unnest(%(targets)s::bigint[], %(locations)s::text[], %(plans)s::integer[]) s (target_id, location, plan)"
_SUMS = f"""
SELECT v.target_id, v.location, k.kind, sum(v.up)::bigint, sum(v.down)::bigint, sum(v.unknown)::bigint
FROM {{view}} v JOIN {_SEATS} ON s.target_id = v.target_id AND s.location = v.location
JOIN unnest(%(of)s::integer[], %(moments)s::timestamptz[], %(kinds)s::integer[]) k (plan, moment, kind)
    ON k.plan = s.plan AND k.moment{{cast}} = v.{{time}}
WHERE v.{{time}} BETWEEN %(begin)s{{cast}} AND %(end)s{{cast}} GROUP BY 1, 2, 3"""  # noqa: S608 (constants)
_HOURS = f"""
SELECT v.target_id, v.location, s.plan, v.hour, v.up, v.down, v.unknown
FROM {{schema}}.website_availability_hourly v
JOIN {_SEATS} ON s.target_id = v.target_id AND s.location = v.location
JOIN unnest(%(of)s::integer[], %(moments)s::timestamptz[]) k (plan, moment) ON k.plan = s.plan AND k.moment = v.hour
WHERE v.hour BETWEEN %(begin)s AND %(end)s"""  # noqa: S608 (constants)
_PARTS = f"""
SELECT v.target_id, v.location, k.part, count(*) FILTER (WHERE v.status = 'up'),
    count(*) FILTER (WHERE v.status = 'down'), count(*) FILTER (WHERE v.status = 'unknown')
FROM {_SEATS} JOIN unnest(%(of)s::integer[], %(parts)s::integer[], %(begins)s::timestamptz[], %(ends)s::timestamptz[])
    k (plan, part, begin_at, end_at) ON k.plan = s.plan
JOIN {{schema}}.website_check v ON v.target_id = s.target_id AND v.location = s.location
    AND v.scheduled_at >= k.begin_at AND v.scheduled_at < k.end_at
WHERE v.scheduled_at >= %(begin)s AND v.scheduled_at < %(end)s GROUP BY 1, 2, 3"""  # noqa: S608 (constants)


@attrs.frozen
class Due:
    """A row of the view `website_due`."""

    target_id: int
    url: str | None
    location: str
    due_from: dt.datetime
    due_until: dt.datetime | None
    interval_s: int
    labels: Mapping[str, str]


@attrs.frozen
class Seats:
    """Targets at locations, each with the number of the plan by which its time is cut."""

    targets: list[int] = attrs.field(factory=list)
    locations: list[str] = attrs.field(factory=list)
    plans: list[int] = attrs.field(factory=list)

    def add(self, target_id: int, location: str, plan: int) -> None:
        """Add one."""
        self.targets.append(target_id)
        self.locations.append(location)
        self.plans.append(plan)


class Reading:
    """Reads within a transaction of its own, which the caller has opened and not used yet."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        connection.execute(_BEGIN)

    def progress(self) -> tuple[dt.datetime, dt.datetime | None]:
        """Now, and the moment before which what was stored is rolled up."""
        now, until = one_row(self._connection, self._composed(_PROGRESS))
        return now, until

    def marked_days(self) -> list[dt.date]:
        """Days whose roll-up lacks what their hours have."""
        return [row[0] for row in self._rows(_MARKED_DAYS, {})]

    def due(
        self, begin: dt.datetime, end: dt.datetime, labels: Mapping[str, str], location: str | None
    ) -> Iterator[Due]:
        """What was due in a time, in the order of targets and locations."""
        values = {"begin": begin, "end": end, "labels": Jsonb(dict(labels)), "location": location}
        return (Due(*row) for row in self._rows(_DUE, values))

    def windows(self, end: dt.datetime) -> list[Window]:
        """The maintenance windows that begin before a moment."""
        names = ("id", "match", "begins_at", "ends_at", "zone", "recurrence", "ended_at")
        return [Window(**dict(zip(names, row, strict=True))) for row in self._rows(_WINDOWS, {"end": end})]

    def incidents(
        self, begin: dt.datetime, end: dt.datetime, location: str | None
    ) -> Iterator[tuple[int, dt.datetime, dt.datetime | None, bool | None]]:
        """Target, begin, end and whether it recovered, of the incidents that reach into a time."""
        return self._rows(_INCIDENTS, {"begin": begin, "end": end, "location": location})

    def sums(
        self, view: str, seats: Seats, kinds: Sequence[tuple[int, dt.datetime, int]]
    ) -> Iterator[tuple[int, str, int, int, int, int]]:
        """Target, location, kind, up, down and unknown: the sums of whole hours or days.

        Args:
            view: hourly or daily.
            kinds: plan, beginning of the hour or day, and number of the kind that it is counted for.
        """
        if not kinds:
            return iter(())
        time, cast = {"hourly": ("hour", ""), "daily": ("day", "::date")}[view]
        statement = sql.SQL(_SUMS).format(
            view=sql.Identifier(self._schema, f"website_availability_{view}"), time=sql.SQL(time), cast=sql.SQL(cast)
        )
        of, moments, numbers = (list(column) for column in zip(*kinds, strict=True))
        values = {"of": of, "moments": moments, "kinds": numbers, "begin": min(moments), "end": max(moments)}
        return iter(self._connection.execute(statement, values | attrs.asdict(seats)))

    def hours(
        self, seats: Seats, hours: Sequence[tuple[int, dt.datetime]]
    ) -> Iterator[tuple[int, str, int, dt.datetime, int, int, int]]:
        """Target, location, plan, hour, up, down and unknown, of the hours that a plan cuts."""
        if not hours:
            return iter(())
        of, moments = (list(column) for column in zip(*hours, strict=True))
        return self._rows(
            _HOURS, {"of": of, "moments": moments, "begin": min(moments), "end": max(moments)} | attrs.asdict(seats)
        )

    def parts(
        self, seats: Seats, parts: Sequence[tuple[int, int, dt.datetime, dt.datetime]]
    ) -> Iterator[tuple[int, str, int, int, int, int]]:
        """Target, location, part, up, down and unknown: counted row by row, within an hour.

        Args:
            parts: plan, number of the part, and its beginning and end.
        """
        of, numbers, begins, ends = (list(column) for column in zip(*parts, strict=True))
        values = {"of": of, "parts": numbers, "begins": begins, "ends": ends, "begin": min(begins), "end": max(ends)}
        return self._rows(_PARTS, values | attrs.asdict(seats))

    def _rows(self, statement: str, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        return iter(self._connection.execute(self._composed(statement), values))

    def _composed(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(schema=sql.Identifier(self._schema), windows=sql.Identifier(WINDOW_TABLE))
