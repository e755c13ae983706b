"""Rows of the table of transitions, as messages and events tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitoring_alerting.policies import Kind, Severity
from monitoring_alerting.transition import State

if TYPE_CHECKING:
    from collections.abc import Sequence

# What is told of the transition `a`; of its evidence, the newest result.
COLUMNS = """a.transition_id, a.alert_id, a.target_id, a.url, a.policy, a.kind, a.severity, a.state, a.before, a.at,
a.since, a.locations, a.labels, a.evidence -> 0 ->> 'reason' AS reason, a.evidence -> 0 ->> 'error' AS error,
(a.evidence -> 0 ->> 'http_status')::int AS http_status, a.step_s, a.cause"""
_NAMES = (
    "transition_id", "alert_id", "target_id", "url", "policy", "kind", "severity", "state", "before", "at", "since",
    "locations", "labels", "reason", "error", "http_status", "step_s", "cause",
)  # fmt: skip


def by_name(row: Sequence[Any]) -> dict[str, Any]:
    """The values of `COLUMNS`."""
    values = dict(zip(_NAMES, row, strict=True))
    return values | {
        "kind": Kind(values["kind"]),
        "severity": Severity(values["severity"]),
        "state": State(values["state"]),
        "before": State(values["before"]),
        "labels": values["labels"] or {},
    }
