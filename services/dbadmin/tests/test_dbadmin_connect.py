"""Errors of PostgreSQL: which is an outage, and which command mends the others."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from dbadmin.connect import outage_or_stop
from monitoring_core.config import DatabaseConfig
from monitoring_core.errors import OutageError, StopError

CONFIG = DatabaseConfig(host="db.example", user="u")
WHERE = "PostgreSQL at db.example:5432"
TO = 'connection to server at "192.0.2.1", port 5432 failed:'


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            psycopg.OperationalError(f"connection failed: {TO} Connection refused\n\tIs the server running?"),
            OutageError,
            f"{WHERE} cannot be reached: Connection refused",
        ),
        (
            psycopg.OperationalError(f'connection failed: {TO} FATAL:  database "x" does not exist'),
            StopError,
            f'{WHERE}: database "x" does not exist (run dbadmin setup)',
        ),
        (
            psycopg.OperationalError(f'connection failed: {TO} FATAL:  role "x" does not exist'),
            StopError,
            f'{WHERE}: role "x" does not exist (dbadmin setup makes the accounts of the section roles)',
        ),
        (
            errors.UndefinedTable('relation "monitoring.x" does not exist\nLINE 1: …'),
            StopError,
            f'{WHERE}: relation "monitoring.x" does not exist (run dbadmin create-schema)',
        ),
        (
            errors.InvalidSchemaName('schema "x" does not exist'),
            StopError,
            f'{WHERE}: schema "x" does not exist (run dbadmin create-schema)',
        ),
        (
            errors.UndefinedColumn('column "x" does not exist'),
            StopError,
            f'{WHERE}: column "x" does not exist (run dbadmin create-schema)',
        ),
        (errors.DiskFull("no space left"), StopError, f"{WHERE}: no space left"),
        (errors.AdminShutdown("terminating connection"), StopError, f"{WHERE}: terminating connection"),
        (psycopg.InterfaceError(), StopError, f"{WHERE}: InterfaceError"),
    ],
)
def test_an_error_is_an_outage_or_says_what_mends_it(error: psycopg.Error, kind: type[Exception], text: str) -> None:
    """In one line, with the address; only a server that is away is worth waiting for."""
    found = outage_or_stop(error, CONFIG)
    assert (type(found), str(found)) == (kind, text)
