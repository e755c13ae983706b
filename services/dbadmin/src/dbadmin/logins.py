"""Logins of people at status-svc: it keeps none of them, but a row makes those of before invalid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbadmin.connect import connected
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from monitoring_core.config import DatabaseConfig

_END = "INSERT INTO {status_logout} (who) VALUES (%s)"


def end_logins(config: DatabaseConfig, who: str) -> None:
    """End all logins that somebody has until now.

    Args:
        who: the name that the provider gives; EVERYBODY for all.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        connection.execute(composed(_END, config.schema), (who,))
