"""Logins of people at status-svc: it keeps none of them, but a row makes those of before invalid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from dbadmin.connect import connected
from monitoring_core.tables import LOGOUT_TABLE

if TYPE_CHECKING:
    from monitoring_core.config import DatabaseConfig

_END = "INSERT INTO {} (who) VALUES (%s)"


def end_logins(config: DatabaseConfig, who: str) -> None:
    """End all logins that somebody has until now.

    Args:
        who: the name that the provider gives; EVERYBODY for all.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        connection.execute(sql.SQL(_END).format(sql.Identifier(config.schema, LOGOUT_TABLE)), (who,))
