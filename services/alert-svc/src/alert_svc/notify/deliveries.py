"""Messages on their way, in PostgreSQL: which is due, and what has become of each attempt."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import attrs
from psycopg.types.json import Jsonb

from alert_svc.notify import message
from alert_svc.notify.message import Message
from alert_svc.notify.statements import Statements
from monitoring_alerting.policies import Severity
from monitoring_alerting.transition import identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

# The oldest message comes first. While an attempt runs, the message is not due; if its process is killed, it is due
# again after that time. An end waits as long as an attempt to tell of the same alert may still succeed.
_CLAIM = """
WITH due AS (
    SELECT notification_id FROM {alert_notification} n WHERE state = 'pending' AND channel = %s
    AND next_at <= clock_timestamp() AND NOT (kind = 'recovery' AND EXISTS (
        SELECT FROM {alert_notification} b
        JOIN {alert_transition} told ON told.transition_id = ANY (b.transitions)
        JOIN {alert_transition} ended ON ended.alert_id = told.alert_id AND ended.transition_id = ANY (n.transitions)
        WHERE b.channel = n.channel AND b.state = 'pending' AND b.made_at < n.made_at))
    ORDER BY made_at, notification_id LIMIT 1 FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE {alert_notification} n SET attempts = attempts + 1,
        next_at = clock_timestamp() + make_interval(secs => %s)
    FROM due WHERE n.notification_id = due.notification_id
    RETURNING n.notification_id, n.made_at, n.content, n.transitions, n.attempts
), begun AS (
    INSERT INTO {alert_attempt} (notification_id, channel, recipient)
    SELECT notification_id, %s, %s FROM claimed RETURNING attempt_id
) SELECT attempt_id, notification_id, made_at, content, transitions, attempts FROM claimed, begun"""
_ENDED = "UPDATE {alert_attempt} SET ended_at = clock_timestamp(), sent = %s, answer = %s WHERE attempt_id = %s"
_SENT = """
UPDATE {alert_notification} SET state = 'sent', done_at = clock_timestamp()
WHERE notification_id = %s AND state <> 'sent'
RETURNING extract(epoch FROM clock_timestamp() - made_at)::float8"""
_FAILED = """
UPDATE {alert_notification} SET next_at = clock_timestamp() + make_interval(secs => %s)
WHERE notification_id = %s AND state = 'pending'"""
_LEAVE_ALONE = """
UPDATE {alert_notification} SET next_at = greatest(next_at, clock_timestamp() + make_interval(secs => %s))
WHERE channel = %s AND state = 'pending'"""
_GIVE_UP = """
UPDATE {alert_notification} SET state = 'given_up', done_at = clock_timestamp()
WHERE state = 'pending' AND made_at < clock_timestamp() - make_interval(secs => %s) AND next_at <= clock_timestamp()
RETURNING channel"""
_WORKS = "UPDATE {alert_channel} SET failures = 0, failing_since = NULL, told_at = NULL WHERE channel = %s"
_FAILS = """
INSERT INTO {alert_channel} (channel, failures, failing_since, answer) VALUES (%s, 1, clock_timestamp(), %s)
ON CONFLICT (channel) DO UPDATE SET failures = {alert_channel}.failures + 1, answer = excluded.answer,
    failing_since = coalesce({alert_channel}.failing_since, excluded.failing_since)
RETURNING failures, told_at IS NOT NULL, failing_since"""
_FAILING = "SELECT channel FROM {alert_channel} WHERE failing_since IS NOT NULL"
_FORGET = """
UPDATE {alert_channel} SET failures = 0, failing_since = NULL, told_at = NULL
WHERE failing_since IS NOT NULL AND channel <> ALL (%s)"""
_TOLD_OF = "UPDATE {alert_channel} SET told_at = clock_timestamp() WHERE channel = %s"
_TELL = """
INSERT INTO {alert_notification} (notification_id, channel, kind, content, transitions)
VALUES (%s, %s, %s, %s, '{{}}') ON CONFLICT DO NOTHING"""
_WAITING = "SELECT channel, count(*) FROM {alert_notification} WHERE state = 'pending' GROUP BY channel"


@attrs.frozen
class Timing:
    """When messages are tried again, and for how long.

    Attributes:
        lease_s: after this time an attempt whose end nobody has written down counts as lost. Longer than any attempt.
        fails_after: so many attempts of a channel must fail, one after another, until another channel is told of it.
    """

    lease_s: float = 60.0
    first_retry_s: float = 5.0
    last_retry_s: float = 600.0
    give_up_s: float = 86_400.0
    fails_after: int = 3

    def retry_s(self, attempts: int) -> float:
        """Seconds until the next attempt, after so many: doubling, drawn from the upper half."""
        ceiling = min(self.first_retry_s * 2.0 ** min(attempts - 1, 30), self.last_retry_s)
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)


@attrs.frozen
class Attempt:
    """An attempt that has begun, the `number`th for its message."""

    id: int
    number: int
    channel: str
    message: Message


class Deliveries:
    """The messages in a schema.

    Each method is a transaction and raises psycopg.Error when PostgreSQL is away, or refuses.
    """

    def __init__(self, schema: str, channels: Sequence[str], timing: Timing) -> None:
        """Args: channels: those that there are, in the order in which they are told that another one fails."""
        self._s = Statements(schema)
        self._channels = channels
        self._timing = timing

    def claim(self, connection: psycopg.Connection[Any], channel: str, recipient: str) -> Attempt | None:
        """Begin an attempt of the oldest message that is due for a channel; None without one."""
        with connection.transaction():
            row = connection.execute(self._s[_CLAIM], (channel, self._timing.lease_s, channel, recipient)).fetchone()
        if row is None:
            return None
        attempt_id, message_id, made_at, content, transitions, number = row
        made = Message(message_id, made_at, message.from_plain(content), tuple(transitions))
        return Attempt(attempt_id, number, channel, made)

    def succeeded(self, connection: psycopg.Connection[Any], attempt: Attempt, answer: str) -> float | None:
        """Write down that a message was taken; how old it is, in seconds, unless that was written down before."""
        with connection.transaction():
            connection.execute(self._s[_ENDED], (True, answer, attempt.id))
            row = connection.execute(self._s[_SENT], (attempt.message.id,)).fetchone()
            connection.execute(self._s[_WORKS], (attempt.channel,))
        return float(row[0]) if row else None

    def failed(
        self, connection: psycopg.Connection[Any], attempt: Attempt, answer: str, come_again_s: float = 0.0
    ) -> None:
        """Write down that an attempt failed, when the next one is due, and tell another channel if it goes on.

        Args:
            come_again_s: for so long the receiver wants to be left alone, as far as that is not longer than the last
                pause between two attempts.
        """
        with connection.transaction():
            connection.execute(self._s[_ENDED], (False, answer, attempt.id))
            connection.execute(self._s[_FAILED], (self._timing.retry_s(attempt.number), attempt.message.id))
            if come_again_s:
                pause_s = min(come_again_s, self._timing.last_retry_s)
                connection.execute(self._s[_LEAVE_ALONE], (pause_s, attempt.channel))
            row = connection.execute(self._s[_FAILS], (attempt.channel, answer)).fetchone()
            if row and row[0] >= self._timing.fails_after and not row[1]:
                self._tell_another(connection, attempt, answer, row[2])

    def give_up(self, connection: psycopg.Connection[Any]) -> list[str]:
        """Give up what was tried for a day; the channel of each message."""
        with connection.transaction():
            return [channel for (channel,) in connection.execute(self._s[_GIVE_UP], (self._timing.give_up_s,))]

    def forget_others(self, connection: psycopg.Connection[Any]) -> None:
        """Let no channel count as failing that there is no more."""
        with connection.transaction():
            connection.execute(self._s[_FORGET], (list(self._channels),))

    def waiting(self, connection: psycopg.Connection[Any]) -> tuple[dict[str, int], set[str]]:
        """How many messages wait for each channel, and the channels that fail."""
        with connection.transaction():
            waiting: dict[str, int] = dict(connection.execute(self._s[_WAITING]).fetchall())
            failing = {channel for (channel,) in connection.execute(self._s[_FAILING])}
        return waiting, failing

    def _tell_another(self, connection: psycopg.Connection[Any], attempt: Attempt, answer: str, since: object) -> None:
        """Tell the first channel that works that this one does not."""
        failing = {channel for (channel,) in connection.execute(self._s[_FAILING])}
        others = [channel for channel in self._channels if channel not in failing]
        if not others:
            return
        content = message.Content(
            kind=message.CHANNEL_FAILING,
            severity=Severity.CRITICAL,
            note=f"Notifications through the channel {attempt.channel} fail: {answer}",
        )
        message_id = identity(message.CHANNEL_FAILING, attempt.channel, others[0], since)
        plain = Jsonb(message.to_plain(content))
        connection.execute(self._s[_TELL], (message_id, others[0], message.CHANNEL_FAILING, plain))
        connection.execute(self._s[_TOLD_OF], (attempt.channel,))
