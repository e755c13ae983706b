"""What the API shows, a page at a time: each begins where the one before ended, whatever came between (keyset)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from monitoring_core.due import RESULTS_WITHIN
from status_svc.api import statements
from status_svc.api.answers import answer
from status_svc.api.availability import availability
from status_svc.api.parameters import MAX_ID, PAGE, Id, Parameters, number
from status_svc.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from status_svc.ports import Database

    Row = dict[str, Any]

_CHOICE = ("label", "target_id")
_LONGEST_REPORT = dt.timedelta(days=3_700)


class Reads:
    """The endpoints that read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def targets(self, request: Request) -> Response:
        """The targets, in order of id."""
        parameters = Parameters(request, *PAGE, "label", "active")
        limit = parameters.limit()
        rows = await self._targets(parameters, limit, parameters.truth("active"))
        return _page(request, parameters, rows, limit, lambda row: row["target_id"])

    async def target(self, request: Request) -> Response:
        """One target."""
        Parameters(request)
        return answer(request, await self._one(request))

    async def status(self, request: Request) -> Response:
        """The status of targets from each location; a page has all locations of so many targets."""
        parameters = Parameters(request, *PAGE, *_CHOICE)
        limit = parameters.limit()
        targets = await self._targets(parameters, limit)
        rows = await self._database.rows(statements.STATUS, {"ids": _ids(targets[:limit])})
        return answer(request, {"items": rows, "next": _next(parameters, targets, limit, lambda row: row["target_id"])})

    async def results(self, request: Request) -> Response:
        """The results of a target, the newest first."""
        parameters = Parameters(request, *PAGE, "from", "until", "location")
        limit, after = parameters.limit(), parameters.cursor(tuple[dt.datetime, str, dt.datetime])
        until = parameters.moment("until") or dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        # Further pages go back as far as the first one would have.
        begin = parameters.moment("from") or (after[2] if after else _before(until, dt.timedelta(days=1)))
        _check_order(begin, until)
        values = {
            "target_id": (await self._one(request))["target_id"],
            "from": begin,
            "until": until,
            "location": parameters.text("location"),
            "after_at": after and after[0],
            "after_location": after and after[1],
            "limit": limit + 1,
        }
        rows = await self._database.rows(statements.RESULTS, values)
        return _page(request, parameters, rows, limit, lambda row: (row["scheduled_at"], row["location"], begin))

    async def incidents(self, request: Request) -> Response:
        """Incidents, the newest first."""
        parameters = Parameters(request, *PAGE, *_CHOICE, "open", "from", "until")
        limit, after = parameters.limit(), parameters.cursor(tuple[dt.datetime, Id, str])
        begin, until = parameters.moment("from"), parameters.moment("until")
        _check_order(begin, until)
        values = {
            "target_id": parameters.number("target_id"),
            "label": msgspec.json.encode(parameters.label()).decode(),
            "open": parameters.truth("open"),
            "from": begin,
            "until": until,
            "after_at": after and after[0],
            "after_id": after and after[1],
            "after_location": after and after[2],
            "limit": limit + 1,
        }
        rows = await self._database.rows(statements.INCIDENTS, values)
        return _page(request, parameters, rows, limit, lambda row: (row["began_at"], row["target_id"], row["location"]))

    async def alerts(self, request: Request) -> Response:
        """Alerts, each as it is now, the one that changed last first.

        Further pages have them as they were at the first: one that changed since then would be on none of them.
        """
        parameters = Parameters(request, *PAGE, *_CHOICE, "open")
        limit, after = parameters.limit(), parameters.cursor(tuple[Id, Id])
        as_of = after[1] if after else (await self._database.rows(statements.NEWEST_TRANSITION))[0]["sequence"]
        values = {
            "target_id": parameters.number("target_id"),
            "label": msgspec.json.encode(parameters.label()).decode(),
            "open": parameters.truth("open"),
            "after": after and after[0],
            "as_of": as_of,
            "limit": limit + 1,
        }
        rows = await self._database.rows(statements.ALERTS, values)
        return _page(request, parameters, rows, limit, lambda row: (row["sequence"], as_of))

    async def maintenance(self, request: Request) -> Response:
        """Maintenance windows, the one that was added last first."""
        parameters = Parameters(request, *PAGE, "ended")
        limit = parameters.limit()
        values = {
            "ended": parameters.truth("ended"),
            "after": parameters.cursor(Id),
            "limit": limit + 1,
        }
        rows = await self._database.rows(statements.MAINTENANCE, values)
        return _page(request, parameters, rows, limit, lambda row: row["window_id"])

    async def notes(self, request: Request) -> Response:
        """Notes on incidents, the newest first."""
        parameters = Parameters(request, *PAGE, "target_id")
        limit = parameters.limit()
        values = {
            "target_id": parameters.number("target_id"),
            "after": parameters.cursor(Id),
            "limit": limit + 1,
        }
        rows = await self._database.rows(statements.NOTES, values)
        return _page(request, parameters, rows, limit, lambda row: row["note_id"])

    async def availability(self, request: Request) -> Response:
        """Availability and coverage of targets over whole UTC days, as far as they are rolled up.

        As in a report, those that were deleted since are among them.
        """
        parameters = Parameters(request, *PAGE, *_CHOICE, "from", "until")
        limit = parameters.limit()
        until = parameters.day("until") or dt.datetime.now(dt.UTC).date()
        begin = parameters.day("from") or until - min(dt.timedelta(days=29), until - dt.date.min)
        if not dt.timedelta(0) <= until - begin <= _LONGEST_REPORT:
            raise ProblemError(
                400, f"from: must be at most {_LONGEST_REPORT.days} days before until, and not after it."
            )
        targets = await self._with_deleted(parameters, limit, begin, until)
        values = {"ids": _ids(targets[:limit]), "from": begin, "until": until, "within": RESULTS_WITHIN}
        items = availability(targets[:limit], await self._database.rows(statements.AVAILABILITY, values))
        following = _next(parameters, targets, limit, lambda row: row["target_id"])
        return answer(request, {"from": begin, "until": until, "items": items, "next": following})

    async def _targets(self, parameters: Parameters, limit: int, active: bool | None = None) -> list[Row]:
        """One more than fits on a page."""
        return await self._database.rows(statements.TARGETS, _chosen(parameters, limit) | {"active": active})

    async def _with_deleted(self, parameters: Parameters, limit: int, begin: dt.date, until: dt.date) -> list[Row]:
        """One more than fits on a page, among them those that were due in these days and are there no more."""
        present = await self._targets(parameters, limit)
        last = present[limit]["target_id"] if len(present) > limit else MAX_ID
        values = _chosen(parameters, limit) | {"last": last, "from": begin, "until": until}
        deleted = await self._database.rows(statements.DELETED_TARGETS, values)
        return sorted([*present, *deleted], key=lambda row: row["target_id"])[: limit + 1]

    async def _one(self, request: Request) -> Row:
        target_id = number("target_id", request.path_params["target_id"])
        rows = await self._database.rows(statements.TARGET, {"target_id": target_id})
        if not rows:
            raise ProblemError(404, f"There is no target {target_id}.")
        return rows[0]


def _chosen(parameters: Parameters, limit: int) -> Row:
    """Which targets are asked for, and one more than fits on a page."""
    return {
        "target_id": parameters.number("target_id"),
        "label": msgspec.json.encode(parameters.label()).decode(),
        "after": parameters.cursor(Id) or 0,
        "limit": limit + 1,
    }


def _page(
    request: Request, parameters: Parameters, rows: Sequence[Row], limit: int, place: Callable[[Row], Any]
) -> Response:
    return answer(request, {"items": rows[:limit], "next": _next(parameters, rows, limit, place)})


def _next(parameters: Parameters, rows: Sequence[Row], limit: int, place: Callable[[Row], Any]) -> str | None:
    """The cursor after the last row of a page; None when no row follows."""
    return parameters.cursor_after(place(rows[limit - 1])) if len(rows) > limit else None


def _check_order(begin: dt.datetime | None, until: dt.datetime | None) -> None:
    if begin is not None and until is not None and begin > until:
        raise ProblemError(400, "from: must not be after until.")


def _ids(rows: Sequence[Row]) -> list[int]:
    return [row["target_id"] for row in rows]


def _before(moment: dt.datetime, time: dt.timedelta) -> dt.datetime:
    try:
        return moment - time
    except OverflowError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)
