"""The file of policies, read again when it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from monitoring_alerting.policies import load_policies
from monitoring_core.config import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_alerting.policies import Policies

log = structlog.get_logger()


class YamlPolicies:
    """Policies in a file.

    Attributes:
        policies: what holds now.
        fault: what is wrong with the file as it is now; None while it is what holds.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ConfigError: it cannot be used.
        """
        self._path = path
        self._text = _text(path)
        self.policies: Policies = load_policies(path)
        self.fault: str | None = None

    def changed(self) -> bool:
        """Whether there are others since the last call. Faulty ones do not hold: those from before go on."""
        text = _text(self._path)
        if text == self._text:
            return False
        self._text = text
        try:
            policies = load_policies(self._path)
        except ConfigError as error:
            self.fault = str(error)
            log.error("the policies cannot be used: those from before go on", error=self.fault)
            return False
        self.fault = None
        changed, self.policies = policies != self.policies, policies
        if changed:
            log.info("the policies have changed", policies=[policy.name for policy in policies.all])
        return changed


def _text(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
