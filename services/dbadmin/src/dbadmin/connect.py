"""What dbadmin adds to connections to PostgreSQL: which errors are outages, and which command mends the others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from monitoring_core.errors import OutageError, StopError
from monitoring_runtime.postgres import Trouble, composed, connect, diagnose, where

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from psycopg import sql
    from psycopg.abc import Params

    from monitoring_core.config import DatabaseConfig
    from monitoring_core.declared.carrying import Run

APPLICATION_NAME = "dbadmin"


class LoginRefusedError(StopError):
    """The server refuses the connection. Which of its reasons it has, libpq tells in the server's language alone."""


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
        with connect(config, APPLICATION_NAME, database=database, autocommit=autocommit, direct=True) as connection:
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


def runner(connection: psycopg.Connection[Any], schema: str) -> Run:
    """What runs statements of the core on a connection."""

    def run(statement: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(composed(statement, schema), values)
            return cursor.fetchall() if cursor.description else []

    return run


def outage_or_stop(error: psycopg.Error, config: DatabaseConfig) -> OutageError | StopError:
    """An error of PostgreSQL as one plain line with the address and, where it is known, the command that mends it."""
    diagnosis = diagnose(error)
    text = f"{where(config)}: {diagnosis.detail}"
    match diagnosis.trouble:
        case Trouble.UNREACHABLE:
            return OutageError(f"{where(config)} cannot be reached: {diagnosis.detail}")
        case Trouble.LOGIN_REFUSED:
            hint = "dbadmin setup makes a database and accounts that are missing"
            return LoginRefusedError(f"{where(config)} refuses the connection: {diagnosis.detail} ({hint})")
        case Trouble.TABLES_MISSING:
            return StopError(f"{text} (run dbadmin create-schema)")
    # An undefined column is one that a later revision adds.
    return StopError(
        f"{text} (run dbadmin create-schema)" if isinstance(error, psycopg.errors.UndefinedColumn) else text
    )
