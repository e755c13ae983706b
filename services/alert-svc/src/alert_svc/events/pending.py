"""Which transitions have no event yet, and which process may publish them, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql

from monitoring_alerting.event import EVENT_STATES, AlertEvent
from monitoring_alerting.policies import Kind, Severity
from monitoring_alerting.transition import State
from monitoring_core.tables import PUBLISHER_TABLE, TRANSITION_TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

# So many events are one transaction in Kafka, at most.
AT_ONCE = 1_000
_STATES = ", ".join(f"'{state}'" for state in EVENT_STATES)
# The condition of the index alert_transition_not_published.
_UNPUBLISHED = f"NOT t.published AND t.state IN ({_STATES})"
_HOLD = """
UPDATE {publisher} SET owner = %(owner)s, held_until = clock_timestamp() + make_interval(secs => %(hold_s)s)
WHERE owner = %(owner)s OR held_until < clock_timestamp()"""
_LET_GO = "UPDATE {publisher} SET held_until = clock_timestamp() WHERE owner = %s"
# In the order in which they were stored: transitions of one alert are stored one after another.
_READ = f"""
SELECT t.transition_id, t.alert_id, t.target_id, t.url, t.policy, t.kind, t.severity, t.state, t.before, t.at, t.since,
    t.locations, t.labels, t.evidence -> 0 ->> 'reason', t.evidence -> 0 ->> 'error',
    (t.evidence -> 0 ->> 'http_status')::int, t.step_s, t.cause, t.silenced_window
FROM {{transitions}} t, {{publisher}} p WHERE p.owner = %s AND {_UNPUBLISHED} ORDER BY t.sequence LIMIT {AT_ONCE}"""  # noqa: S608
_PUBLISHED = "UPDATE {transitions} SET published = true WHERE transition_id = ANY (%s)"
_WAITING = f"SELECT count(*) FROM {{transitions}} t WHERE {_UNPUBLISHED}"  # noqa: S608


@attrs.frozen
class Unpublished:
    """An event that is to be published.

    Attributes:
        id: the transition's, and the event's in every repeat.
    """

    id: str
    event: AlertEvent


class Pending:
    """The events of a schema.

    Each method is a transaction and raises psycopg.Error when PostgreSQL is away, or refuses.
    """

    def __init__(self, schema: str, owner: str, hold_s: float) -> None:
        """Args: owner: this process; hold_s: after this time without a sign of it, another one may take its place."""
        self._owner = owner
        self._hold_s = hold_s
        self._names = {
            "transitions": sql.Identifier(schema, TRANSITION_TABLE),
            "publisher": sql.Identifier(schema, PUBLISHER_TABLE),
        }

    def hold(self, connection: psycopg.Connection[Any]) -> bool:
        """Become the process that publishes, or stay it; False when another one is."""
        with connection.transaction():
            found = connection.execute(self._composed(_HOLD), {"owner": self._owner, "hold_s": self._hold_s})
            return found.rowcount == 1

    def let_go(self, connection: psycopg.Connection[Any]) -> None:
        """Let another process take this one's place at once."""
        with connection.transaction():
            connection.execute(self._composed(_LET_GO), (self._owner,))

    def read(self, connection: psycopg.Connection[Any]) -> list[Unpublished]:
        """The oldest events that are not published; none when another process has taken this one's place."""
        with connection.transaction():
            rows = connection.execute(self._composed(_READ), (self._owner,)).fetchall()
        return [_unpublished(row) for row in rows]

    def published(self, connection: psycopg.Connection[Any], events: Sequence[Unpublished]) -> None:
        """Write down that events are in the topic."""
        with connection.transaction():
            connection.execute(self._composed(_PUBLISHED), ([one.id for one in events],))

    def waiting(self, connection: psycopg.Connection[Any]) -> int:
        """How many events are not published."""
        with connection.transaction():
            (count,) = connection.execute(self._composed(_WAITING)).fetchone() or (0,)
        return int(count)

    def _composed(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(**self._names)


def _unpublished(row: Sequence[Any]) -> Unpublished:
    (transition_id, alert_id, target_id, url, policy, kind, severity, state, before, at, since, locations) = row[:12]
    labels, reason, error, http_status, step_s, cause, window = row[12:]
    event = AlertEvent(
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
        maintenance_window=window,
    )
    return Unpublished(transition_id, event)
