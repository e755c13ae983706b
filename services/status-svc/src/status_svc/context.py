"""What every route needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from monitoring_core.config import StatusConfig
    from status_svc.metrics import Metrics
    from status_svc.ports import Database


@attrs.frozen
class Context:
    """What every route needs.

    Attributes:
        settings: the section `status` of the configuration.
        database: runs statements on the schema.
        metrics: of this process.
    """

    settings: StatusConfig
    database: Database
    metrics: Metrics
