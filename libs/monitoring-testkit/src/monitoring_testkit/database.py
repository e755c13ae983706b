"""A connection to a database, made without the code under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

    from monitoring_core.config import DatabaseConfig


def connect(config: DatabaseConfig) -> psycopg.Connection[TupleRow]:
    """A connection as the configuration says, each statement a transaction of its own."""
    return psycopg.connect(make_conninfo(**config.connection_parameters("test")), autocommit=True)
