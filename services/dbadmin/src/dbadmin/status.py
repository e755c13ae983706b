"""Which websites are up, down, unknown or stale now: the view `website_status`, the worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dbadmin.connect import connected

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from monitoring_core.config import Config

STATUS_VIEW = "website_status"


@attrs.frozen
class WebsiteStatus:
    """A target at one location, now.

    Attributes:
        location: None before the first check of any location.
        since: the first check with this status.
        checked_at: when the newest check ended; None before the first.
        age: how long ago that was.
        stale: the newest check is older than interval and timeout allow; its status is then unknown.
        error: what the newest check complained of.
        availability_today: up / (up + down) since midnight (UTC).
    """

    target_id: int
    url: str
    location: str | None
    status: str
    stale: bool
    reason: str | None
    error: str | None
    since: dt.datetime | None
    checked_at: dt.datetime | None
    age: dt.timedelta | None
    response_time_s: float | None
    http_status: int | None
    certificate_expires_at: dt.datetime | None
    availability_today: float | None
    labels: dict[str, str] | None


@attrs.frozen
class Question:
    """Which targets are asked about.

    Attributes:
        down: only those that are down; with `stale`, those that are one or the other.
        stale: only those whose status is stale.
        labels: only those with all of these labels.
        location: only this location.
        limit: at most this many, the worst first; None for all.
    """

    down: bool = False
    stale: bool = False
    labels: Mapping[str, str] = attrs.field(factory=dict)
    location: str | None = None
    limit: int | None = None


@attrs.frozen
class Answer:
    """The websites that were asked for, and how many there are of each kind.

    Attributes:
        shown: in the order stale, down, unknown, up, of each the newest change first.
        found: how many there are without the limit.
        targets, locations, up, down, unknown, stale: of all active targets with the labels and the location that were
            asked for; each target counts once at each location, and a stale one as stale alone.
    """

    shown: tuple[WebsiteStatus, ...]
    found: int
    targets: int
    locations: int
    up: int
    down: int
    unknown: int
    stale: int


COLUMNS = tuple(attrs.fields_dict(WebsiteStatus))
_KINDS = ("stale", "down", "unknown", "up")
_KIND = "CASE WHEN stale THEN 'stale' ELSE status END"
_COUNTS = ", ".join(f"count(*) FILTER (WHERE {_KIND} = '{kind}') AS n_{kind}" for kind in _KINDS)
# One look at the view, so that the counts and the rows are of the same moment. The counts are there without any row.
_QUERY = f"""
WITH known AS MATERIALIZED (
    SELECT {{columns}} FROM {{source}}
    WHERE active AND coalesce(labels, '{{{{}}}}') @> %(labels)s
        AND (%(location)s::text IS NULL OR location = %(location)s)
), counts AS (
    SELECT count(DISTINCT target_id) AS n_targets, count(DISTINCT location) AS n_locations, {_COUNTS} FROM known
), found AS (
    SELECT *, count(*) OVER () AS n_found FROM known
    WHERE NOT (%(down)s OR %(stale)s) OR %(stale)s AND stale OR %(down)s AND status = 'down' AND NOT stale
)
SELECT * FROM counts LEFT JOIN found ON true
ORDER BY array_position(ARRAY['stale', 'down', 'unknown', 'up'], {_KIND}), since DESC NULLS LAST, target_id, location
LIMIT %(limit)s
"""  # noqa: S608 (constants)


def read_status(config: Config, question: Question) -> Answer:
    """The status of websites now.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    statement = sql.SQL(_QUERY).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
        source=sql.Identifier(config.database.schema, STATUS_VIEW),
    )
    values = attrs.asdict(question) | {"labels": Jsonb(dict(question.labels))}
    with connected(config.database) as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement, values).fetchall()
    return _answer(rows)


def _answer(rows: list[dict[str, Any]]) -> Answer:
    """The rows of the query, each of which has the counts; a row without a target has nothing else."""
    shown = tuple(WebsiteStatus(**{name: row[name] for name in COLUMNS}) for row in rows if row["target_id"])
    first = rows[0]
    counts = {name: first[f"n_{name}"] for name in ("targets", "locations", *_KINDS)}
    return Answer(shown=shown, found=first["n_found"] or 0, **counts)
