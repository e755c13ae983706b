"""The statements of the outbox, with the names of the schema in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from alert_svc.notify.message import Alert
from monitoring_alerting.policies import Kind, Severity
from monitoring_alerting.transition import State
from monitoring_core.tables import (
    ACKNOWLEDGEMENT_TABLE,
    ATTEMPT_TABLE,
    CHANNEL_TABLE,
    LATER_TABLE,
    NOTIFICATION_TABLE,
    RESULT_TIME_VIEW,
    TOLD_TABLE,
    TRANSITION_TABLE,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# What is told. Suspicions and recoveries that are not complete are not.
TOLD_STATES = ["firing", "resolved", "undetermined", "flapping"]
_TABLES = (
    TRANSITION_TABLE,
    ACKNOWLEDGEMENT_TABLE,
    NOTIFICATION_TABLE,
    ATTEMPT_TABLE,
    TOLD_TABLE,
    LATER_TABLE,
    CHANNEL_TABLE,
    RESULT_TIME_VIEW,
)
# The columns of an alert in a message; of the evidence, the newest result.
ALERT = """a.transition_id, a.alert_id, a.target_id, a.url, a.policy, a.kind, a.severity, a.state, a.before, a.at,
a.since, a.locations, a.labels, a.evidence -> 0 ->> 'reason', a.evidence -> 0 ->> 'error',
(a.evidence -> 0 ->> 'http_status')::int, a.step_s, a.cause"""


class Statements:
    """Makes statements for a schema: `{NAME}` stands for a table, `{group}` for the values of the labels grouped by."""

    def __init__(self, schema: str, by: Sequence[str] = ()) -> None:
        self._schema = schema
        self._names: dict[str, sql.Composable] = {table: sql.Identifier(schema, table) for table in _TABLES}
        self._names["alert"] = sql.SQL(ALERT)
        values = [sql.SQL("a.labels ->> ") + _literal(name) for name in by]
        self._names["group"] = sql.SQL("jsonb_build_array({})").format(sql.SQL(", ").join(values))
        self._made: dict[str, sql.Composed] = {}

    def __getitem__(self, statement: str) -> sql.Composed:
        """The statement with its names, made once."""
        if statement not in self._made:
            self._made[statement] = sql.SQL(statement).format(**self._names)
        return self._made[statement]


def alert_of(row: Sequence[Any]) -> Alert:
    """The alert of the columns in `ALERT`."""
    (transition_id, alert_id, target_id, url, policy, kind, severity, state, before, at, since, locations, labels) = (
        row[:13]
    )
    reason, error, http_status, step_s, cause = row[13:]
    return Alert(
        transition_id=transition_id,
        alert_id=alert_id,
        target_id=target_id,
        url=url,
        policy=policy,
        kind=Kind(kind),
        severity=Severity(severity),
        state=State(state),
        before=State(before),
        at=at,
        since=since,
        locations=locations,
        labels=labels or {},
        reason=reason,
        error=error,
        http_status=http_status,
        step_s=step_s,
        cause=cause,
    )


def _literal(text: str) -> sql.SQL:
    """Text as a literal in a statement with parameters, where a percent sign would begin one."""
    return sql.SQL(sql.Literal(text).as_string().replace("%", "%%"))
