"""How available targets were, in the figures of `dbadmin report`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from monitoring_core.due import milliseconds, share, slot_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Row = dict[str, Any]


def availability(targets: Iterable[Row], spans: Sequence[Row]) -> list[Row]:
    """The figures of each target at each location; of one that was due nowhere, a row without a location.

    Args:
        spans: the rows of `statements.AVAILABILITY` for these targets.
    """
    places = {
        target_id: [(location, _counted(list(some))) for location, some in groupby(here, lambda one: one["location"])]
        for target_id, here in groupby(spans, lambda one: one["target_id"])
    }
    return [
        {name: target[name] for name in ("target_id", "url", "labels")} | {"location": location} | counts
        for target in targets
        for location, counts in places.get(target["target_id"], [(None, _counted([]))])
    ]


def _counted(spans: Sequence[Row]) -> Row:
    up, down, unknown = (sum(one[name] for one in spans) for name in ("up", "down", "unknown"))
    due = sum(_due([one for one in spans if one["check_interval_s"] == s]) for s in _intervals(spans))
    return {
        "due": due,
        "up": up,
        "down": down,
        "unknown": unknown,
        "availability": share(up, up + down),
        "coverage": share(up + down, due),
    }


def _intervals(spans: Sequence[Row]) -> set[int]:
    return {one["check_interval_s"] for one in spans}


def _due(spans: Sequence[Row]) -> int:
    """The slots of times with one interval; where there are more rows than slots, each row was due."""
    slots = sum(
        slot_count(
            one["target_id"], one["check_interval_s"], milliseconds(one["begin_at"]), milliseconds(one["end_at"])
        )
        for one in spans
    )
    rows: int = sum(one["up"] + one["down"] + one["unknown"] for one in spans)
    return max(slots, rows)
