"""What is kept of the results that an alert may be decided on: the last few of each location that are not good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_alerting.transition import Evidence

if TYPE_CHECKING:
    from monitoring_core.result import CheckResult

# Of one location. The keys of older results are known from its seat.
KEPT = 5
_MAX_EXCERPT = 500


class EvidenceStore:
    """The last results of a target that were not good, by location and slot; empty while all is well."""

    __slots__ = ("kept",)

    def __init__(self, kept: dict[str, list[tuple[int, Evidence]]] | None = None) -> None:
        self.kept = kept or {}

    def keep(self, slot: int, result: CheckResult) -> None:
        """Keep a result, and let go of the oldest of its location."""
        kept = self.kept.setdefault(result.location, [])
        kept[:] = sorted([*(one for one in kept if one[0] != slot), (slot, of(result))], key=lambda one: one[0])[-KEPT:]

    def forget(self, location: str) -> bool:
        """Let go of a location; whether nothing is left."""
        self.kept.pop(location, None)
        return not self.kept

    def find(self, location: str, slot: int) -> Evidence | None:
        """The result of a slot, if it is kept."""
        return next((one for number, one in self.kept.get(location, ()) if number == slot), None)

    def last(self, location: str) -> list[Evidence]:
        """The newest result of a location that is kept, if there is one."""
        return [one for _, one in self.kept.get(location, ())[-1:]]


def of(result: CheckResult) -> Evidence:
    """What is kept of a result."""
    return Evidence(
        scheduled_at=result.scheduled_at,
        location=result.location,
        status=result.status,
        reason=result.reason,
        error=result.error,
        http_status=result.http_status,
        response_time_s=result.response_time_s,
        remote_address=result.remote_address,
        final_url=result.final_url,
        body_excerpt=result.body_excerpt and result.body_excerpt[:_MAX_EXCERPT],
    )
