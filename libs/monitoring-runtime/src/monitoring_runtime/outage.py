"""An outage in the log: told when it begins or has another reason, and once when it is over."""

from __future__ import annotations

import attrs
import structlog

log = structlog.get_logger()


@attrs.define
class Outage:
    """Why something cannot be done now.

    Attributes:
        begins, is_over: what the log says then.
        why: in one line; None while it can be done.
    """

    begins: str
    is_over: str
    why: str | None = attrs.field(default=None, init=False)

    def lasts(self, why: str) -> None:
        """Note that it could not be done."""
        if self.why != why:
            log.warning(self.begins, error=why)
        self.why = why

    def ends(self) -> None:
        """Note that it could be done."""
        if self.why is not None:
            log.info(self.is_over)
        self.why = None
