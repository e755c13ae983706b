"""The loop that publishes events: one process at a time, the others stand by (docs/adr/0018)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs
import psycopg

from alert_svc.events.pending import Pending
from alert_svc.events.topic import AlertTopic
from monitoring_alerting.event import source_of
from monitoring_core.errors import OutageError
from monitoring_core.revision import ALERT_NEEDS
from monitoring_runtime.outage import Outage
from monitoring_runtime.postgres import KeptConnection, explain
from monitoring_runtime.retry import OUTAGE

if TYPE_CHECKING:
    from alert_svc.events.metrics import Metrics
    from monitoring_core.config import Config, DatabaseConfig
    from monitoring_runtime.stop import Stop

_STATEMENT_S = 30.0


@attrs.frozen
class Timing:
    """How often the publisher looks, and when another takes its place.

    Attributes:
        hold_s: after so long without a sign of the process that publishes, another one does.
        renew_s: how often it gives a sign, and others look; far shorter than `hold_s`.
    """

    pause_s: float = 0.25
    hold_s: float = 20.0
    renew_s: float = 5.0


def build(config: Config, client_id: str, owner: str, metrics: Metrics) -> Publisher:
    """A publisher. Args: owner: a name that no other process has."""
    timing, database = Timing(), config.database
    topic = AlertTopic(config.kafka, client_id, source_of(database.database, database.schema))
    return Publisher(database, Pending(database.schema, owner, timing.hold_s), topic, metrics, timing)


class Publisher:
    """One connection to PostgreSQL, and one to Kafka while this process is the one that publishes."""

    def __init__(
        self, database: DatabaseConfig, pending: Pending, topic: AlertTopic, metrics: Metrics, timing: Timing
    ) -> None:
        self._database = database
        self._pending = pending
        self._topic = topic
        self._metrics = metrics
        self._timing = timing
        self._connection = KeptConnection(
            ALERT_NEEDS, database, "alert-svc publisher", statement_timeout_s=_STATEMENT_S
        )
        self._mine = False
        self._renew_at = 0.0
        self._outage = Outage("events of alerts wait", "events of alerts are published again")

    def run(self, stop: Stop) -> None:
        """Turn until a stop is requested.

        Raises:
            StopError: the schema is not fit for this release.
        """
        backoff = OUTAGE.backoff()
        while not stop.requested:
            try:
                more = self.run_once()
                backoff.reset()
                if self._mine:  # a process that stands by has not tried what failed
                    self._outage.ends()
                if not more:
                    time.sleep(self._timing.pause_s)
            except (OutageError, psycopg.Error) as error:
                self._lost(error)
                self._sleep(stop, backoff.next())
        self._finish()

    def run_once(self) -> bool:
        """One turn: publish the oldest events that are not published; returns whether there were any.

        Raises:
            OutageError, psycopg.Error: Kafka or PostgreSQL is away, or refuses.
            StopError: the schema is not fit for this release.
        """
        connection = self._connection.opened()
        if time.monotonic() >= self._renew_at:
            self._mine = self._pending.hold(connection)
            self._metrics.waiting.set(self._pending.waiting(connection))
            self._renew_at = time.monotonic() + self._timing.renew_s
        if not self._mine:
            self._topic.close()
            return False
        # The topic is opened before the events are read, never after: see docs/adr/0018.
        if not self._topic.is_open:
            self._topic.open()
        events = self._pending.read(connection)
        if events:
            self._topic.publish(events)
            self._pending.published(connection, events)
            self._metrics.published.inc(len(events))
        return bool(events)

    def _lost(self, error: Exception) -> None:
        """Say why events wait, and begin anew.

        Whether this process is still the one that publishes is unknown.
        """
        self._metrics.outages.inc()
        self._renew_at = 0.0
        if isinstance(error, psycopg.Error):
            self._outage.lasts(explain(error, self._database, "cannot read what is to be published"))
            self._connection.close()
            self._mine = False
        else:
            self._let_go()  # another process may reach what this one does not
            self._outage.lasts(str(error))

    def _sleep(self, stop: Stop, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not stop.requested and time.monotonic() < until:
            time.sleep(self._timing.pause_s)

    def _let_go(self) -> None:
        """Let another process publish at once, if PostgreSQL is there."""
        try:
            if self._mine:
                self._mine = False
                self._pending.let_go(self._connection.opened())
        except psycopg.Error as error:
            self._lost(error)

    def _finish(self) -> None:
        self._topic.close()
        self._let_go()
        self._connection.close()
