"""Which transitions have no event yet, and which process may publish them, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from alert_svc.rows import COLUMNS, by_name
from monitoring_alerting.event import EVENT_STATES, AlertEvent
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

# So many events are one transaction in Kafka, at most.
AT_ONCE = 1_000
_STATES = ", ".join(f"'{state}'" for state in EVENT_STATES)
# The condition of the index alert_transition_not_published.
_UNPUBLISHED = f"NOT a.published AND a.state IN ({_STATES})"
_HOLD = """
UPDATE {alert_publisher} SET owner = %(owner)s, held_until = clock_timestamp() + make_interval(secs => %(hold_s)s)
WHERE owner = %(owner)s OR held_until < clock_timestamp()"""
_LET_GO = "UPDATE {alert_publisher} SET held_until = clock_timestamp() WHERE owner = %s"
# In the order in which they were stored: transitions of one alert are stored one after another.
_READ = f"""
SELECT {COLUMNS}, a.silenced_window FROM {{alert_transition}} a, {{alert_publisher}} p
WHERE p.owner = %s AND {_UNPUBLISHED} ORDER BY a.sequence LIMIT {AT_ONCE}"""  # noqa: S608
_PUBLISHED = "UPDATE {alert_transition} SET published = true WHERE transition_id = ANY (%s)"
_WAITING = f"SELECT count(*) FROM {{alert_transition}} a WHERE {_UNPUBLISHED}"  # noqa: S608


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
        self._schema = schema

    def hold(self, connection: psycopg.Connection[Any]) -> bool:
        """Become the process that publishes, or stay it; False when another one is."""
        with connection.transaction():
            found = connection.execute(composed(_HOLD, self._schema), {"owner": self._owner, "hold_s": self._hold_s})
            return found.rowcount == 1

    def let_go(self, connection: psycopg.Connection[Any]) -> None:
        """Let another process take this one's place at once."""
        with connection.transaction():
            connection.execute(composed(_LET_GO, self._schema), (self._owner,))

    def read(self, connection: psycopg.Connection[Any]) -> list[Unpublished]:
        """The oldest events that are not published; none when another process has taken this one's place."""
        with connection.transaction():
            rows = connection.execute(composed(_READ, self._schema), (self._owner,)).fetchall()
        return [_unpublished(row) for row in rows]

    def published(self, connection: psycopg.Connection[Any], events: Sequence[Unpublished]) -> None:
        """Write down that events are in the topic."""
        with connection.transaction():
            connection.execute(composed(_PUBLISHED, self._schema), ([one.id for one in events],))

    def waiting(self, connection: psycopg.Connection[Any]) -> int:
        """How many events are not published."""
        with connection.transaction():
            (count,) = connection.execute(composed(_WAITING, self._schema)).fetchone() or (0,)
        return int(count)


def _unpublished(row: Sequence[Any]) -> Unpublished:
    *columns, window = row
    values = by_name(columns)
    return Unpublished(values.pop("transition_id"), AlertEvent(**values, maintenance_window=window))
