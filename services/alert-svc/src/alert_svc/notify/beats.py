"""What is sent again and again as long as all is well: open alerts to an Alertmanager, its Watchdog, the heartbeat."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from alert_svc.notify.channel_settings import AlertmanagerChannel, plain
from alert_svc.notify.channels.alertmanager import AlertmanagerSender
from alert_svc.notify.channels.http import request
from alert_svc.notify.channels.sender import SendError
from alert_svc.notify.settings import Heartbeat
from alert_svc.notify.statements import Statements, alert_of
from monitoring_core.clock import from_ms
from monitoring_runtime.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    import psycopg

    from alert_svc.notify.channels.sender import Sender
    from alert_svc.notify.message import Alert
    from alert_svc.notify.metrics import Metrics
    from alert_svc.notify.settings import Notifications
    from alert_svc.progress import Progress

log = structlog.get_logger()
# As many alerts go in one request.
_AT_ONCE = 1_000
_USUAL = Heartbeat(url="https://localhost/")
_OPEN = """
SELECT {alert} FROM {alert_told} t JOIN {alert_transition} a ON a.transition_id = t.transition_id
WHERE %s = ANY (t.channels) AND t.state <> 'resolved' ORDER BY a.sequence"""
_FRESH = """
SELECT EXISTS (
    SELECT FROM {alert_result_time} WHERE scheduled_at > now() - %s AND scheduled_at < now() + interval '1 hour'),
    now()"""
_STUCK = """
SELECT EXISTS (SELECT FROM {alert_notification} WHERE state = 'pending' AND channel = ANY (%(channels)s)
        AND (attempts > 0 AND made_at < now() - %(within)s OR next_at < now() - %(within)s)),
    EXISTS (SELECT FROM {alert_transition} WHERE NOT noticed
        AND stored_at < now() - %(within)s - %(held)s)"""


class Beats:
    """Begins what is due, in threads, each only when its last one has ended."""

    def __init__(
        self,
        schema: str,
        settings: Notifications,
        senders: Mapping[str, Sender],
        metrics: Metrics,
        progress: Progress | None = None,
    ) -> None:
        """Args: progress: how far results are decided by this process; None where that is not its part."""
        self._s = Statements(schema)
        self._settings = settings
        self._metrics = metrics
        self._progress = progress
        self._senders = {
            channel.name: (sender, channel)
            for channel in settings.channels
            if isinstance(sender := senders.get(channel.name), AlertmanagerSender)
            and isinstance(channel, AlertmanagerChannel)
        }
        self._due: dict[str, float] = {}
        self._running: dict[str, Future[None]] = {}

    def begin(self, connection: psycopg.Connection[Any]) -> None:
        """Begin what is due.

        Raises:
            psycopg.Error: PostgreSQL is away, or refuses. Then nothing beats.
        """
        for name, (sender, channel) in self._senders.items():
            if self._is_due(name, channel.resend.total_seconds()):
                alerts = [alert_of(row) for row in connection.execute(self._s[_OPEN], (name,)).fetchall()]
                well = channel.watchdog and self.why_withheld(connection) is None
                self._run(name, partial(_resend, sender, alerts, well))
        heartbeat = self._settings.heartbeat
        # The name of a channel has no space.
        if heartbeat and self._is_due("the heartbeat", heartbeat.every.total_seconds()):
            if why := self.why_withheld(connection):
                self._metrics.beats.labels("withheld").inc()
                log.warning("heartbeat withheld", reason=why)
            else:
                self._run("the heartbeat", partial(self._beat, heartbeat))

    def why_withheld(self, connection: psycopg.Connection[Any]) -> str | None:
        """Why there is no heartbeat now, or None when all is well."""
        limits = self._settings.heartbeat or _USUAL
        with connection.transaction():
            fresh, now = connection.execute(self._s[_FRESH], (limits.fresh_within,)).fetchone() or (False, from_ms(0))
            values = {
                "channels": [channel.name for channel in self._settings.channels],
                "within": limits.sent_within,
                "held": self._settings.grouping.at_most,
            }
            unsent, untold = connection.execute(self._s[_STUCK], values).fetchone() or (True, True)
        if not fresh:
            return "there are no fresh results"
        if self._progress and now - from_ms(self._progress.decided_until) > limits.fresh_within:
            return "results are not decided"
        return "notifications are not sent" if unsent else "transitions are not told" if untold else None

    def _is_due(self, name: str, every_s: float) -> bool:
        running = self._running.get(name)
        if (running and not running.done()) or time.monotonic() < self._due.get(name, 0.0):
            return False
        self._due[name] = time.monotonic() + every_s
        return True

    def _run(self, name: str, work: Callable[[], None]) -> None:
        self._running[name] = in_background(f"beat-{name}", partial(_told_of_faults, name, work))

    def _beat(self, heartbeat: Heartbeat) -> None:
        try:
            request("GET", plain(heartbeat.url))
            self._metrics.beats.labels("sent").inc()
        except SendError as error:
            self._metrics.beats.labels("failed").inc()
            log.warning("heartbeat not sent", error=str(error))


def _told_of_faults(name: str, work: Callable[[], None]) -> None:
    """Do work whose faults would be seen nowhere, while an Alertmanager ends what is open."""
    try:
        work()
    except Exception:
        log.exception("sending failed", channel=name)


def _resend(sender: AlertmanagerSender, alerts: list[Alert], watchdog: bool) -> None:
    try:
        for start in range(0, max(len(alerts), 1), _AT_ONCE):
            sender.resend(alerts[start : start + _AT_ONCE], watchdog and not start)
    except SendError as error:
        log.warning("open alerts not sent again", recipient=sender.recipient, error=str(error))
