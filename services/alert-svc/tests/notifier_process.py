"""Runs a notifier as a process of its own, which may end itself by SIGKILL before or after its first send.

Arguments: the host of PostgreSQL, the path of alerts.yaml, and `never`, `before` or `after`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alert_svc.notify.channels.build import sender
from alert_svc.notify.deliveries import Timing
from alert_svc.notify.load import load_alerts
from alert_svc.notify.metrics import Metrics
from alert_svc.notify.notifier import Notifier
from monitoring_core.config import DatabaseConfig
from monitoring_runtime.stop import stop_on_signals

if TYPE_CHECKING:
    from alert_svc.notify.channels.sender import Sender
    from alert_svc.notify.message import Message


class Dying:
    """A sender in a process that is killed at its first message."""

    def __init__(self, inner: Sender, when: str) -> None:
        self._inner = inner
        self._when = when
        self.recipient = inner.recipient

    def send(self, message: Message) -> str:
        if self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = self._inner.send(message)
        os.kill(os.getpid(), signal.SIGKILL)
        return answer


def main(host: str, path: str, when: str) -> None:
    settings = load_alerts(Path(path)).notifications
    senders: dict[str, Sender] = {channel.name: sender(channel) for channel in settings.channels}
    if when != "never":
        senders = {name: Dying(inner, when) for name, inner in senders.items()}
    database = DatabaseConfig(host=host, port=5432, user="postgres", database="monitoring")
    timing = Timing(lease_s=1.0, first_retry_s=0.1, last_retry_s=0.3)
    with stop_on_signals() as stop:
        Notifier(database, settings, senders, Metrics(), timing).run(stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
