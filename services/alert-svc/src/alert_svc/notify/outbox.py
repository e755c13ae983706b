"""From transitions to messages in PostgreSQL: made, and marked as noticed, in one transaction."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import attrs
from psycopg.types.json import Jsonb

from alert_svc.notify import message
from alert_svc.notify.planning import Later, Outgoing, Plan, Told, planned, written
from alert_svc.notify.routing import quiet_end
from alert_svc.notify.statements import TOLD_STATES, Statements, alert_of
from alert_svc.windows import WindowTable
from monitoring_alerting.transition import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from alert_svc.notify.message import Alert
    from alert_svc.notify.settings import Notifications

# So many transitions are told at once, at most; all the others follow. They are read in one statement: between two of
# them an alert could be stored with its end, which would be read without it. For the same reason the end of an alert
# whose labels have changed waits until its begin is told, which is perhaps in another group.
_MOST = 20_000
# Somebody may end a window while something waits for its end.
_LOOK_AGAIN = dt.timedelta(seconds=10)
# One process at a time makes messages, or a group would become several.
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('alert_notification ' || %s, 0)), clock_timestamp()"
# What a maintenance window silences is stored again when the window is over.
_UNTOLD = """
UPDATE {alert_transition} SET noticed = true
WHERE NOT noticed AND (silenced_window IS NOT NULL OR NOT state = ANY (%s))"""
_GROUPS = """
SELECT {group}, a.state = 'resolved', clock_timestamp() - min(a.stored_at),
    count(*) FILTER (WHERE a.stored_at > clock_timestamp() - %s)
FROM {alert_transition} a WHERE NOT a.noticed AND a.silenced_window IS NULL AND a.state = ANY (%s) GROUP BY 1, 2"""
_MEMBERS = """
SELECT a.sequence, {alert} FROM {alert_transition} a
WHERE NOT a.noticed AND a.silenced_window IS NULL AND a.state = ANY (%s) AND {group} = %s
AND (a.state <> 'resolved' OR %s AND NOT EXISTS (
    SELECT FROM {alert_transition} b WHERE b.alert_id = a.alert_id AND NOT b.noticed AND b.silenced_window IS NULL
    AND b.labels IS DISTINCT FROM a.labels))
ORDER BY a.state = 'resolved', a.sequence LIMIT %s FOR UPDATE"""
_NOTICED = "UPDATE {alert_transition} SET noticed = true WHERE transition_id = ANY (%s)"
_KNOWN = "SELECT alert_id, transition_id, state, step_s, channels FROM {alert_told} WHERE alert_id = ANY (%s)"
_INSERT = """
INSERT INTO {alert_notification} (notification_id, channel, kind, content, transitions)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
_TELL = """
INSERT INTO {alert_told} (alert_id, transition_id, state, step_s, channels) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (alert_id) DO UPDATE SET transition_id = excluded.transition_id, state = excluded.state,
    step_s = excluded.step_s, channels = excluded.channels, told_at = clock_timestamp()"""
_FORGET = "DELETE FROM {alert_told} WHERE alert_id = ANY (%s)"
_POSTPONE = """
INSERT INTO {alert_later} (alert_id, channel, cause, due_at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"""
# What waits for a channel that hears of the present state at once.
_HEARD = "DELETE FROM {alert_later} WHERE alert_id = ANY (%s) AND channel = %s AND cause = 'quiet_hours'"
# With whether nothing is to be told any more. An end may be stored and not told yet, for as long as a window lasts;
# from then on it is for those channels that know of the alert.
_DUE = """
DELETE FROM {alert_later} l USING {alert_told} t, {alert_transition} a
WHERE t.alert_id = l.alert_id AND a.transition_id = t.transition_id AND l.due_at <= %s
RETURNING l.channel, l.cause, CASE
    WHEN t.state = 'resolved' THEN l.cause = 'escalation' OR l.channel <> ALL (t.channels)
    WHEN l.cause = 'escalation' AND (l.channel = ANY (t.channels)
        OR EXISTS (SELECT FROM {alert_acknowledgement} k WHERE k.alert_id = l.alert_id)) THEN true
    ELSE 'resolved' = (
        SELECT n.state FROM {alert_transition} n WHERE n.alert_id = l.alert_id ORDER BY n.sequence DESC LIMIT 1) END,
    {alert}"""
_ALSO_TOLD = "UPDATE {alert_told} SET channels = array_remove(channels, %(by)s) || %(by)s WHERE alert_id = ANY (%(of)s)"
_TOLD_OF_END = "UPDATE {alert_told} SET channels = array_remove(channels, %(by)s) WHERE alert_id = ANY (%(of)s)"
_FORGET_ENDED = """
DELETE FROM {alert_told} t WHERE t.alert_id = ANY (%s) AND t.state = 'resolved'
AND NOT EXISTS (SELECT FROM {alert_later} l WHERE l.alert_id = t.alert_id)"""


@attrs.frozen
class Outbox:
    """Makes messages of transitions."""

    schema: str
    settings: Notifications
    _windows: WindowTable = attrs.field(
        default=attrs.Factory(lambda self: WindowTable(self.schema), takes_self=True), init=False, eq=False
    )

    def make(self, connection: psycopg.Connection[Any]) -> int:
        """Make every message that is due now; returns how many.

        Raises:
            psycopg.Error: PostgreSQL is away, or refuses; then nothing is made.
        """
        s = Statements(self.schema, self.settings.grouping.by)
        with connection.transaction():
            free, now = connection.execute(_LOCK, (self.schema,)).fetchone() or (False, None)
            if not free or now is None:
                return 0
            connection.execute(s[_UNTOLD], (TOLD_STATES,))
            made = sum(self._tell(connection, s, values, now) for values in self._ready(connection, s))
            return made + self._tell_later(connection, s, now)

    def _ready(self, connection: psycopg.Connection[Any], s: Statements) -> list[tuple[list[str | None], bool]]:
        """The values of the labels of each group that has waited long enough, and whether its recoveries have, too."""
        grouping = self.settings.grouping
        found = connection.execute(s[_GROUPS], (grouping.wait, TOLD_STATES)).fetchall()
        ready: dict[tuple[str | None, ...], bool] = {}
        for values, recovered, age, recent in found:
            if age >= grouping.at_most or (age >= grouping.wait and recent < grouping.burst):
                ready[tuple(values)] = ready.get(tuple(values), False) or recovered
        return [(list(values), recovered) for values, recovered in ready.items()]

    def _tell(
        self,
        connection: psycopg.Connection[Any],
        s: Statements,
        ready: tuple[list[str | None], bool],
        now: dt.datetime,
    ) -> int:
        """Tell a group, each website's problems and ends in the order in which they came."""
        values, recovered = ready
        rows = connection.execute(s[_MEMBERS], (TOLD_STATES, Jsonb(values), recovered, _MOST)).fetchall()
        alerts = [alert_of(row) for _, *row in sorted(rows, key=lambda row: row[0])]
        group = {
            name: value for name, value in zip(self.settings.grouping.by, values, strict=True) if value is not None
        }
        made = 0
        for members in _rounds(alerts):
            told = _told(connection, s, {alert.alert_id for alert in members})
            plan = planned(members, told, self.settings, group, now)
            _write(connection, s, plan)
            made += len(plan.messages)
        connection.execute(s[_NOTICED], ([alert.transition_id for alert in alerts],))
        return made

    def _tell_later(self, connection: psycopg.Connection[Any], s: Statements, now: dt.datetime) -> int:
        """Tell alerts to channels that had quiet hours, or that are told because nobody has acknowledged them.

        What falls into quiet hours or a maintenance window now waits further.
        """
        rows = connection.execute(s[_DUE], (now,)).fetchall()
        if not rows:
            return 0
        with connection.cursor() as cursor:
            self._windows.look(cursor)
        due: dict[tuple[str, str], list[Alert]] = {}
        told: set[tuple[str, str]] = set()
        waiting = []
        for channel, cause, over, *row in rows:
            alert = alert_of(row)
            if over or not self.settings.channel(channel) or (channel, alert.alert_id) in told:
                continue
            if until := self._waits_until(alert, channel, cause, now):
                waiting.append(Later(alert.alert_id, channel, cause, until))
            else:
                told.add((channel, alert.alert_id))
                due.setdefault((channel, _kind(alert, cause)), []).append(alert)
        with connection.cursor() as cursor:
            cursor.executemany(s[_POSTPONE], map(_later_row, waiting))
        made = 0
        for (channel, kind), alerts in due.items():
            messages = written(self.settings, kind, channel, alerts, {})
            _insert(connection, s, messages)
            alert_ids = [alert.alert_id for alert in alerts]
            values = {"by": channel, "of": alert_ids}
            connection.execute(s[_TOLD_OF_END if kind == message.RECOVERY else _ALSO_TOLD], values)
            connection.execute(s[_HEARD], (alert_ids, channel))
            made += len(messages)
        connection.execute(s[_FORGET_ENDED], ([alert_of(row).alert_id for _, _, _, *row in rows],))
        return made

    def _waits_until(self, alert: Alert, channel: str, cause: str, now: dt.datetime) -> dt.datetime | None:
        """Until when a channel is not to be told of an alert; None if it may be told now."""
        if end := self._windows.held_until(now, alert.labels):
            return min(end, now + _LOOK_AGAIN)
        return quiet_end(self.settings, alert, channel, cause == "escalation", now)


def _rounds(alerts: Iterable[Alert]) -> list[list[Alert]]:
    """Problems, ends, problems again and so on: in each, all that came to a website by then under a policy.

    Nearly always there are problems and ends. After an outage, a website may have been down twice.
    """
    rounds: list[list[Alert]] = []
    reached: dict[tuple[int, str], int] = {}
    for alert in alerts:
        about = alert.target_id, alert.policy
        number = reached.get(about, 0)
        number += (number % 2 == 1) is not (alert.state is State.RESOLVED)
        reached[about] = number
        rounds += [[] for _ in range(number + 1 - len(rounds))]
        rounds[number].append(alert)
    return [members for members in rounds if members]


def _kind(alert: Alert, cause: str) -> str:
    """What a message is that a channel was to get later."""
    if cause == "escalation":
        return message.ESCALATION
    return message.RECOVERY if alert.state is State.RESOLVED else message.PROBLEM


def _write(connection: psycopg.Connection[Any], s: Statements, plan: Plan) -> None:
    _insert(connection, s, plan.messages)
    with connection.cursor() as cursor:
        if plan.ended:
            cursor.execute(s[_FORGET], (list(plan.ended),))
        cursor.executemany(s[_TELL], [_told_row(told) for told in plan.told.values()])
        cursor.executemany(s[_HEARD], [([alert_id], channel) for alert_id, channel in plan.heard])
        cursor.executemany(s[_POSTPONE], [_later_row(later) for later in plan.later])


def _insert(connection: psycopg.Connection[Any], s: Statements, messages: Iterable[Outgoing]) -> None:
    rows = [
        (one.id, one.channel, one.content.kind, Jsonb(message.to_plain(one.content)), one.transitions)
        for one in messages
    ]
    with connection.cursor() as cursor:
        cursor.executemany(s[_INSERT], rows)


def _told(connection: psycopg.Connection[Any], s: Statements, alert_ids: set[str]) -> dict[str, Told]:
    rows = connection.execute(s[_KNOWN], (list(alert_ids),)).fetchall()
    return {
        alert_id: Told(alert_id, transition_id, State(state), step_s, tuple(channels))
        for alert_id, transition_id, state, step_s, channels in rows
    }


def _told_row(told: Told) -> tuple[object, ...]:
    return told.alert_id, told.transition_id, told.state, told.step_s, list(told.channels)


def _later_row(later: Later) -> tuple[object, ...]:
    return later.alert_id, later.channel, later.cause, later.due_at
