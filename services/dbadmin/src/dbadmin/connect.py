"""What dbadmin adds to connections to PostgreSQL: which errors are outages, and which command mends the others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from monitoring_core.errors import OutageError, StopError
from monitoring_runtime.postgres import Trouble, connect, diagnose, where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import sql
    from psycopg.abc import Params

    from monitoring_core.config import DatabaseConfig

APPLICATION_NAME = "dbadmin"


@contextmanager
def connected(
    config: DatabaseConfig, database: str | None = None, autocommit: bool = False
) -> Iterator[psycopg.Connection[Any]]:
    """A connection, in one transaction unless `autocommit`.

    Args:
        database: the database to use instead of the configured one.

    Raises:
        OutageError: the server cannot be reached.
        StopError: the server refuses; the text says what to do where that is known.
    """
    try:
        with connect(config, APPLICATION_NAME, database=database, autocommit=autocommit) as connection:
            yield connection
    except psycopg.Error as error:
        raise outage_or_stop(error, config) from None


def one_row(
    connection: psycopg.Connection[Any], query: str | sql.Composed, parameters: Params | None = None
) -> tuple[Any, ...]:
    """The row of a query that always has exactly one, like an aggregate."""
    row: tuple[Any, ...] | None = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row


def outage_or_stop(error: psycopg.Error, config: DatabaseConfig) -> OutageError | StopError:
    """An error of PostgreSQL as one plain line with the address and, where it is known, the command that mends it."""
    diagnosis = diagnose(error)
    text = f"{where(config)}: {diagnosis.detail}"
    match diagnosis.trouble:
        case Trouble.UNREACHABLE:
            return OutageError(f"{where(config)} cannot be reached: {diagnosis.detail}")
        case Trouble.LOGIN_REFUSED if "database" in diagnosis.detail and "does not exist" in diagnosis.detail:
            return StopError(f"{text} (run dbadmin setup)")
        case Trouble.LOGIN_REFUSED if "role" in diagnosis.detail and "does not exist" in diagnosis.detail:
            return StopError(f"{text} (dbadmin setup makes the accounts of the section roles)")
        case Trouble.LOGIN_REFUSED:
            return StopError(f"{where(config)} refuses the connection: {diagnosis.detail}")
        case Trouble.TABLES_MISSING:
            return StopError(f"{text} (run dbadmin create-schema)")
    # An undefined column is one that a later revision adds.
    return StopError(
        f"{text} (run dbadmin create-schema)" if isinstance(error, psycopg.errors.UndefinedColumn) else text
    )
