"""Connections to PostgreSQL, and its errors in plain words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo

from monitoring_core.errors import OutageError, StopError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig


@contextmanager
def connected(
    config: DatabaseConfig, database: str | None = None, autocommit: bool = False
) -> Iterator[psycopg.Connection[Any]]:
    """A connection, in one transaction unless `autocommit`.

    Raises:
        OutageError: the server cannot be reached.
        StopError: it refuses; the text says what to do where that is known.
    """
    try:
        with psycopg.connect(conninfo(config, database), autocommit=autocommit) as connection:
            yield connection
    except psycopg.Error as error:
        raise explained(error, config) from None


def conninfo(config: DatabaseConfig, database: str | None = None) -> str:
    """The connection string. Holds the password: never log it."""
    parameters = config.connection_parameters("dbadmin")
    return make_conninfo(**(parameters | {"dbname": database or config.database}))


def explained(error: psycopg.Error, config: DatabaseConfig) -> OutageError | StopError:
    """An error of PostgreSQL as one plain line with the address."""
    where = f"PostgreSQL at {config.address}"
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    detail = text.rpartition("failed: ")[2].removeprefix("FATAL:  ")
    match error:
        case psycopg.errors.UndefinedTable() | psycopg.errors.InvalidSchemaName() | psycopg.errors.UndefinedColumn():
            return StopError(f"{where}: {detail} (run dbadmin create-schema)")
        case psycopg.OperationalError() if "does not exist" in detail and "database" in detail:
            return StopError(f"{where}: {detail} (run dbadmin setup)")
        case psycopg.OperationalError() if "FATAL" in text:
            return StopError(f"{where} refuses the connection: {detail}")
        case psycopg.OperationalError() if error.sqlstate is None:
            return OutageError(f"{where} cannot be reached: {detail}")
    return StopError(f"{where}: {detail}")
