"""The file alerts.yaml, read again when it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from alert_svc.notify.load import load_alerts
from monitoring_core.config import ConfigError
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from alert_svc.notify.settings import Notifications
    from monitoring_alerting.policies import Policies

log = structlog.get_logger()


class AlertsFile:
    """Policies, channels and routes in a file. All of it holds, or nothing: those from before go on while it is faulty.

    Attributes:
        policies, notifications: what holds now.
        fault: what is wrong with the file as it is now; None while it is what holds.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ConfigError: it cannot be used.
        """
        self._path = path
        self._text = _text(path)
        self._use: Callable[[Notifications], None] | None = None
        alerts = load_alerts(path)
        self.policies: Policies = alerts.policies
        self.notifications: Notifications = alerts.notifications
        self.fault: str | None = None

    def follow(self, use: Callable[[Notifications], None]) -> None:
        """Hand other channels and routes over when there are some; `use` raises StopError for those it cannot use."""
        self._use = use

    def changed(self) -> bool:
        """Whether there are other policies since the last call."""
        text = _text(self._path)
        # What is wrong may lie elsewhere: a secret that is not there yet.
        if text == self._text and self.fault is None:
            return False
        self._text = text
        try:
            alerts = load_alerts(self._path)
            if self._use and alerts.notifications != self.notifications:
                self._use(alerts.notifications)
        except (ConfigError, StopError) as error:
            if self.fault != str(error):
                log.error("alerts.yaml cannot be used: what it said before goes on", error=str(error))
            self.fault = str(error)
            return False
        if self.fault is not None:
            log.info("alerts.yaml can be used again")
        self.fault = None
        if alerts.notifications != self.notifications:
            self.notifications = alerts.notifications
            log.info("channels and routes have changed", channels=[one.name for one in self.notifications.channels])
        if alerts.policies == self.policies:
            return False
        self.policies = alerts.policies
        log.info("the policies have changed", policies=[policy.name for policy in self.policies.all])
        return True


def _text(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
