"""What every route needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_core.clock import SystemClock
from status_svc.access import Access

if TYPE_CHECKING:
    from monitoring_core.clock import Clock
    from monitoring_core.config import StatusConfig
    from status_svc.login import Login
    from status_svc.metrics import Metrics
    from status_svc.ports import Database, Writer


@attrs.frozen
class Context:
    """What every route needs.

    Attributes:
        settings: the section `status` of the configuration.
        database: runs statements on the schema.
        metrics: of this process.
        writer: writes to it; None where nobody may.
        clock: of the pages.
        login: how people log in to see the inner pages; None where they show a token.
        access: who may do what.
    """

    settings: StatusConfig
    database: Database
    metrics: Metrics
    writer: Writer | None = None
    clock: Clock = attrs.field(factory=SystemClock)
    login: Login | None = None
    access: Access = attrs.field(init=False)

    @access.default
    def _access(self) -> Access:
        return Access(self.settings, self.database, self.clock)
