"""Transitions of alerts in PostgreSQL, as alert-svc stores them."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

_INSERT = """
INSERT INTO monitoring.alert_transition (transition_id, alert_id, target_id, policy, kind, severity, state, before, at,
    since, decided_at, locations, evidence, cause, step_s, url, labels, silenced_window)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""


def store(connection: psycopg.Connection[Any], *transitions: Sequence[object]) -> None:
    """Store transitions, in one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_INSERT, transitions)


def transition(
    target_id: int,
    state: str,
    before: str,
    *,
    episode: int = 0,
    kind: str = "down",
    severity: str = "critical",
    labels: dict[str, str] | None = None,
    at: dt.datetime | None = None,
    error: str = "Connection refused",
    cause: str | None = None,
    step_s: int | None = None,
    window: int | None = None,
) -> tuple[object, ...]:
    """The values of a row. Args: episode: tells alerts of one target apart."""
    alert_id = f"alert-{target_id}-{kind}-{episode}"
    moment = at or dt.datetime.now(dt.UTC)
    evidence = [{"location": "berlin", "status": "down", "reason": "connection_failed", "error": error}]
    return (
        f"{alert_id}-{state}-{moment.timestamp() if step_s is None else step_s}",
        alert_id,
        target_id,
        f"website-{kind}",
        kind,
        severity,
        state,
        before,
        moment,
        moment,
        moment,
        ["berlin", "tokyo"],
        json.dumps(evidence if state == "firing" else []),
        cause,
        step_s,
        f"https://shop{target_id}.example/",
        json.dumps(labels) if labels else None,
        window,
    )
