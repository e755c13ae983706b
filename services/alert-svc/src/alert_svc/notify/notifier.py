"""The loop of notifications: makes messages of transitions, and sends them, each channel by itself."""

from __future__ import annotations

import queue
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import attrs
import psycopg
import structlog

from alert_svc.notify.beats import Beats
from alert_svc.notify.channels.build import sender
from alert_svc.notify.channels.sender import CALL_S, SendError
from alert_svc.notify.deliveries import Attempt, Deliveries, Timing
from alert_svc.notify.outbox import Outbox
from alert_svc.notify.safe import line
from monitoring_core.errors import OutageError
from monitoring_core.revision import ALERT_NEEDS
from monitoring_runtime.background import in_background
from monitoring_runtime.outage import Outage
from monitoring_runtime.postgres import KeptConnection, explain
from monitoring_runtime.retry import OUTAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alert_svc.notify.channels.sender import Sender
    from alert_svc.notify.metrics import Metrics
    from alert_svc.notify.settings import Notifications
    from alert_svc.progress import Progress
    from monitoring_core.config import DatabaseConfig
    from monitoring_runtime.session import Session
    from monitoring_runtime.stop import Stop

log = structlog.get_logger()
# How long the loop sleeps when nothing happens: transitions come from another transaction.
_PAUSE_S = 0.25
_UPKEEP_S = 10.0
# How long attempts that run are waited for at a stop. What they end with later is tried again.
_FINISH_S = 10.0
_STATEMENT_S = 60.0
# So many attempts of a channel may hang beyond their time; then it waits for one of them to end.
_MOST_HANGING = 4


def build(database: DatabaseConfig, settings: Notifications, metrics: Metrics, progress: Progress) -> Notifier:
    """A notifier with the channels of the settings.

    Args:
        database: where transitions are; its user may read and change the tables of notifications.
        progress: how far results are decided beside it.

    Raises:
        StopError: what a channel needs is not installed, or does not know its URL.
    """
    return Notifier(database, settings, _senders(settings), metrics, Timing(), progress)


def _senders(settings: Notifications) -> dict[str, Sender]:
    return {channel.name: sender(channel) for channel in settings.channels}


@attrs.define
class _Sending:
    """An attempt that runs, and until when it is waited for."""

    attempt: Attempt
    deadline: float


@attrs.frozen
class _Outcome:
    """How an attempt ended."""

    attempt: Attempt
    sent: bool
    answer: str
    come_again_s: float = 0.0


class Notifier:
    """One connection, and one message on its way for each channel."""

    def __init__(
        self,
        database: DatabaseConfig,
        settings: Notifications,
        senders: Mapping[str, Sender],
        metrics: Metrics,
        timing: Timing,
        progress: Progress | None = None,
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._timing = timing
        self._progress = progress
        self._connection = KeptConnection(ALERT_NEEDS, database, "alert-svc notifier", statement_timeout_s=_STATEMENT_S)
        # Settings that are to hold from the next turn on.
        self._others: queue.SimpleQueue[tuple[Notifications, Mapping[str, Sender]]] = queue.SimpleQueue()
        self._go_by(settings, senders)
        self._outage = Outage("PostgreSQL is away, notifications wait", "PostgreSQL is back, notifications go on")
        self._ended: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        # Outcomes that are not written down yet. They outlast an outage of PostgreSQL, so that nothing is sent again.
        self._outcomes: list[_Outcome] = []
        self._sending: dict[str, _Sending] = {}
        self._hanging: dict[int, str] = {}
        self._upkeep_at = 0.0

    def use(self, settings: Notifications) -> None:
        """Go on with other settings, from the next turn on; another thread may call it. Attempts that run go on.

        Raises:
            StopError: what a channel needs is not installed, or does not know its URL; then the settings stay.
        """
        self._others.put((settings, _senders(settings)))

    def _go_by(self, settings: Notifications, senders: Mapping[str, Sender]) -> None:
        schema = self._database.schema
        self._senders = senders
        self._outbox = Outbox(schema, settings)
        self._deliveries = Deliveries(schema, list(senders), self._timing)
        self._beats = Beats(schema, settings, senders, self._metrics, self._progress)
        self._forgotten = False

    def run(self, stop: Stop) -> None:
        """Turn until a stop is requested; attempts that run are waited for then.

        Raises:
            StopError: the schema is not fit for this release.
        """
        backoff = OUTAGE.backoff()
        while not stop.requested:
            try:
                self.run_once()
                backoff.reset()
                self._outage.ends()
                self._collect(_PAUSE_S)
            except (OutageError, psycopg.Error) as error:
                self._lost(error)
                self._sleep(stop, backoff.next())
        self._finish()

    def run_once(self) -> None:
        """One turn: write down what has ended, make messages, begin attempts.

        Raises:
            OutageError, psycopg.Error: PostgreSQL is away, or refuses.
            StopError: the schema is not fit for this release.
        """
        connection = self._connection.opened()
        self._write_down(connection)
        while not self._others.empty():  # nobody else takes from it
            self._go_by(*self._others.get())
        if not self._forgotten:
            self._deliveries.forget_others(connection)
            self._forgotten = True
        self._outbox.make(connection)
        for name in self._senders:
            self._begin(connection, name)
        self._beats.begin(connection)
        if time.monotonic() >= self._upkeep_at:
            self._upkeep(connection)
            self._upkeep_at = time.monotonic() + _UPKEEP_S

    def _lost(self, error: Exception) -> None:
        """Close the connection, and say why."""
        self._metrics.outages.inc()
        failure = "cannot keep notifications"
        self._outage.lasts(explain(error, self._database, failure) if isinstance(error, psycopg.Error) else str(error))
        self._connection.close()

    def _begin(self, connection: Session, name: str) -> None:
        """Begin an attempt of a channel, if it has none and a message is due."""
        if name in self._sending or list(self._hanging.values()).count(name) >= _MOST_HANGING:
            return
        attempt = self._deliveries.claim(connection, name, self._senders[name].recipient)
        if attempt is None:
            return
        self._sending[name] = _Sending(attempt, time.monotonic() + CALL_S)
        in_background(f"send-{name}", partial(self._send, self._senders[name], attempt))

    def _send(self, by: Sender, attempt: Attempt) -> None:
        try:
            outcome = _Outcome(attempt, True, by.send(attempt.message))
        except SendError as error:
            outcome = _Outcome(attempt, False, line(str(error), 500), error.come_again_s)
        except Exception as error:  # a fault of ours or of a library must not end the notifications of others
            log.exception("sending failed", channel=attempt.channel)
            outcome = _Outcome(attempt, False, f"fault in alert-svc: {type(error).__name__}")
        self._ended.put(outcome)

    def _collect(self, wait_s: float) -> None:
        """Take the outcomes of attempts that have ended, and wait for the first one."""
        with suppress(queue.Empty):  # raised by the queue alone, when no further attempt has ended
            self._take(self._ended.get(timeout=wait_s))
            while True:
                self._take(self._ended.get_nowait())
        for name, sending in list(self._sending.items()):
            if time.monotonic() > sending.deadline:
                self._hanging[sending.attempt.id] = name
                del self._sending[name]
                self._outcomes.append(_Outcome(sending.attempt, False, f"no end within {CALL_S:g} s"))

    def _take(self, outcome: _Outcome) -> None:
        if self._hanging.pop(outcome.attempt.id, None) is None:
            del self._sending[outcome.attempt.channel]
        elif not outcome.sent:
            return
        self._outcomes.append(outcome)

    def _write_down(self, connection: Session) -> None:
        """Write down how attempts ended."""
        while self._outcomes:
            outcome = self._outcomes[0]
            attempt, channel = outcome.attempt, outcome.attempt.channel
            if outcome.sent:
                age_s = self._deliveries.succeeded(connection, attempt, outcome.answer)
                if age_s is not None:
                    self._metrics.age_seconds.observe(age_s)
            else:
                self._deliveries.failed(connection, attempt, outcome.answer, outcome.come_again_s)
                log.warning("notification not sent", channel=channel, id=attempt.message.id, error=outcome.answer)
            self._metrics.attempts.labels(channel, "sent" if outcome.sent else "failed").inc()
            del self._outcomes[0]

    def _upkeep(self, connection: Session) -> None:
        """What is done now and then: give up, count."""
        for channel in self._deliveries.give_up(connection):
            self._metrics.given_up.labels(channel).inc()
            log.error("notification given up after a day", channel=channel)
        self._metrics.queue(self._senders, *self._deliveries.waiting(connection))

    def _sleep(self, stop: Stop, seconds: float) -> None:
        """Wait without PostgreSQL, while attempts end."""
        until = time.monotonic() + seconds
        while not stop.requested and (left := until - time.monotonic()) > 0:
            self._collect(min(left, _PAUSE_S))

    def _finish(self) -> None:
        """Wait for attempts that run, and write down how they ended, if PostgreSQL is there."""
        until = time.monotonic() + _FINISH_S
        while self._sending and time.monotonic() < until:
            self._collect(_PAUSE_S)
        try:
            self._write_down(self._connection.opened())
        except (OutageError, psycopg.Error) as error:
            self._lost(error)
        self._connection.close()
