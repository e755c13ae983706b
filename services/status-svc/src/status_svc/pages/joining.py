"""From rows to what pages show: the locations of a target become one component, and their incidents one."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from monitoring_alerting.policies import matches
from monitoring_alerting.windows import Window
from status_svc.pages.detail import Alert, Check, Detail, Hour
from status_svc.pages.model import (
    DAYS,
    MOST_INCIDENTS,
    NO_GROUP,
    Board,
    Component,
    Day,
    Incident,
    Maintenance,
    Seen,
    State,
    Update,
    combined,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Row = dict[str, Any]
_SEEN = tuple(field for field in Seen.__annotations__ if field != "state")
_AROUND = dt.timedelta(days=30)
_MOST_WINDOWS = 500


class Days:
    """The days of every target. Those of a target stay the same object as long as they are the same.

    Targets with the same counts on a day share that, so that ten thousand targets take megabytes and not hundreds.
    """

    def __init__(self, rows: Iterable[Row] = (), now: dt.datetime | None = None) -> None:
        self._today = now.date() if now else None
        self._of: dict[int, list[Day]] = {}
        for row in rows:
            day = Day(row["day"], row["up"], row["down"], row["unknown"])
            for target_id in row["targets"]:
                self._of.setdefault(target_id, []).append(day)
        self._joined: dict[int, tuple[Day, ...]] = {}

    def of(self, target_id: int, today: dt.date) -> tuple[Day, ...]:
        """The last 90 days of a target, the oldest first; of some, nothing may be known."""
        if today != self._today:
            self._today, self._joined = today, {}
        if target_id not in self._joined:
            known = {one.day: one for one in self._of.get(target_id, ())}
            self._joined[target_id] = tuple(known.get(one.day, one) for one in _empty(today))
        return self._joined[target_id]


@lru_cache(maxsize=2)
def _empty(today: dt.date) -> tuple[Day, ...]:
    """The last 90 days, of which nothing is known."""
    return tuple(Day(today - dt.timedelta(days=back)) for back in range(DAYS - 1, -1, -1))


def board(
    now: dt.datetime,
    status: Iterable[Row],
    days: Days,
    incidents: Sequence[Row],
    notes: Sequence[Row],
    windows: Sequence[Row],
    *,
    name_label: str,
    group_label: str,
) -> Board:
    """All that there is to show.

    Args:
        status: the rows in the order of targets.
        name_label: the label whose value is the name of a component; without it, the URL is, and in public its host.
        group_label: the label whose value is its group.
    """
    components = tuple(
        _component(list(rows), days, now.date(), name_label, group_label)
        for _, rows in groupby(status, key=lambda row: row["target_id"])
    )
    names = {one.id: one.name for one in components}
    return Board(
        at=now,
        components=components,
        incidents=merged(incidents, notes, names),
        known_since=_known_since(incidents),
        maintenance=_maintenance(windows, components, now),
    )


def _component(rows: list[Row], days: Days, today: dt.date, name_label: str, group_label: str) -> Component:
    first = rows[0]
    labels: dict[str, str] = {str(name): str(value) for name, value in (first["labels"] or {}).items()}
    seen = tuple(Seen(**{name: row[name] for name in _SEEN}) for row in rows)
    state = combined(seen)
    return Component(
        id=first["target_id"],
        name=labels.get(name_label) or first["url"],
        public_name=labels.get(name_label) or _host(first["url"]),
        group=labels.get(group_label) or NO_GROUP,
        state=state,
        since=_since(seen, state),
        known=sum(one.state in (State.UP, State.DOWN) for one in seen),
        places=sum(one.location is not None for one in seen),
        days=days.of(first["target_id"], today),
        url=first["url"],
        labels=labels,
        seen=seen,
    )


def _since(seen: Iterable[Seen], state: State) -> dt.datetime | None:
    """Up since the last location came back, down since the first one failed, partly since there are both."""
    moments: dict[State, list[dt.datetime]] = {}
    for one in seen:
        if one.since is not None:
            moments.setdefault(one.state, []).append(one.since)
    if state is State.PARTLY:
        return max((min(moments[one]) for one in (State.UP, State.DOWN) if one in moments), default=None)
    return (max if state is State.UP else min)(moments.get(state, []), default=None)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def merged(rows: Iterable[Row], notes: Iterable[Row], names: Mapping[int, str]) -> tuple[Incident, ...]:
    """Incidents at single locations, as one where they touch. Those that are open come first, and then the newest.

    Targets without a name have none.

    Args:
        notes: what people said of incidents; each belongs to the one that was at its `began_at`.
    """
    said: dict[int, list[Row]] = {}
    for note in notes:
        said.setdefault(note["target_id"], []).append(note)
    found: list[Incident] = []
    ordered = sorted((row for row in rows if row["target_id"] in names), key=lambda r: (r["target_id"], r["began_at"]))
    for target_id, own in groupby(ordered, key=lambda row: row["target_id"]):
        found += (_incident(names[target_id], together, said.get(target_id, ())) for together in _touching(own))
    return tuple(sorted(found, key=lambda one: (one.ended_at is None, one.began_at, one.id), reverse=True))


def _known_since(rows: Sequence[Row]) -> dt.datetime | None:
    """From when on all incidents that ended are among the rows; None when all of them are."""
    if len(rows) < MOST_INCIDENTS:
        return None
    return min((row["began_at"] for row in rows if row["ended_at"] is not None), default=None)


def _touching(rows: Iterable[Row]) -> Iterator[list[Row]]:
    together: list[Row] = []
    end: dt.datetime | None = None
    for row in rows:
        if together and end is not None and row["began_at"] > end:
            yield together
            together = []
        if not together:
            end = row["ended_at"]
        elif end is not None:
            end = None if row["ended_at"] is None else max(end, row["ended_at"])
        together.append(row)
    if together:
        yield together


def _incident(name: str, rows: list[Row], notes: Iterable[Row]) -> Incident:
    first = rows[0]
    ended = None if any(row["ended_at"] is None for row in rows) else max(row["ended_at"] for row in rows)
    updates = [Update(at=first["began_at"], kind="Down")]
    if ended is not None:
        last = max(rows, key=lambda row: row["ended_at"])
        updates.append(Update(at=ended, kind="Up again" if last["end_reason"] == "recovered" else "No longer watched"))
    updates += (
        Update(at=note["noted_at"], kind=note["kind"].capitalize(), text=note["text"], public=note["public"])
        for note in notes
        if first["began_at"] <= note["began_at"] and (ended is None or note["began_at"] <= ended)
    )
    return Incident(
        id=f"{first['target_id']}-{int(first['began_at'].timestamp())}",
        target_id=first["target_id"],
        name=name,
        began_at=first["began_at"],
        ended_at=ended,
        locations=tuple(sorted({row["location"] for row in rows})),
        reasons=tuple(sorted({row["reason"].replace("_", " ") for row in rows if row["reason"]})),
        updates=tuple(sorted(updates, key=lambda update: update.at)),
    )


def _maintenance(rows: Iterable[Row], components: Sequence[Component], now: dt.datetime) -> tuple[Maintenance, ...]:
    """When windows hold, from thirty days ago to thirty days ahead, in order. One that cannot be used never holds."""
    found = []
    for row in rows:
        window = Window(
            id=row["window_id"],
            **{name: row[name] for name in ("match", "begins_at", "ends_at", "zone", "recurrence", "ended_at")},
        )
        try:
            times = list(window.occurrences(now - _AROUND, now + _AROUND))
        except ValueError:
            continue
        within = [one for one in components if matches(window.match, one.labels)] if times else []
        names = tuple(sorted(one.name for one in within))
        targets = frozenset(one.id for one in within)
        for begin, end in times:
            number = f"{window.id}-{int(begin.timestamp())}"
            found.append(
                Maintenance(id=number, begins_at=begin, ends_at=end, names=names, targets=targets, note=row["note"])
            )
    nearest = sorted(found, key=lambda one: abs(one.begins_at - now))[:_MOST_WINDOWS]
    return tuple(sorted(nearest, key=lambda one: (one.begins_at, one.id)))


def detail(hours: Iterable[Row], checks: Iterable[Row], alerts: Iterable[Row]) -> Detail:
    """What the inner page of a component shows beside its state."""
    return Detail(
        hours=tuple(Hour(**row) for row in hours),
        checks=tuple(Check(**row) for row in checks),
        alerts=tuple(_alert(row) for row in alerts),
    )


def _alert(row: Row) -> Alert:
    notes = [row["cause"]] if row["cause"] else []
    if row["silenced_window"] is not None:
        notes.append(f"in maintenance window {row['silenced_window']}")
    if row["acknowledged_at"] is not None:
        by = f" by {row['acknowledged_by']}" if row["acknowledged_by"] else ""
        notes.append(f"acknowledged{by}{': ' + row['note'] if row['note'] else ''}")
    values = {name: row[name] for name in ("since", "state", "severity", "policy", "locations")}
    return Alert(**values, note="; ".join(notes))
