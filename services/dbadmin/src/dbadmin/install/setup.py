"""The whole set-up: database, accounts, schema, topics."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbadmin.connect import connected
from dbadmin.history.statistics import disable_jit_in
from dbadmin.install.locks import say_nothing
from dbadmin.install.roles import create_roles
from dbadmin.install.schema import create_schema
from dbadmin.install.topics import create_topics
from monitoring_core.config import Role
from monitoring_core.errors import StopError
from monitoring_runtime.postgres import where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.install.locks import Tell
    from monitoring_core.config import Config, DatabaseConfig

# The databases to connect to while the configured one does not exist yet. The second is Aiven's.
_MAINTENANCE = ("postgres", "defaultdb")


def set_up(config: Config, tell: Tell = say_nothing) -> Iterator[str]:
    """Make whatever is missing, in order; yields one line for each step. May be repeated.

    Args:
        tell: is told what is waited for.

    Raises:
        OutageError, StopError: PostgreSQL or Kafka cannot be reached, or refuses.
    """
    yield create_database(config.database)
    yield from create_roles(config, tell)
    owner = config.database_as(Role.ADMINISTRATOR) or config.database
    yield from create_schema(owner, dt.datetime.now(dt.UTC).date(), config.roles, tell)
    yield from create_topics(config.kafka, config.kafka.partitions, config.kafka.replication_factor)


def create_database(config: DatabaseConfig) -> str:
    """Make the database when it is missing; returns a line that says whether it was.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    for maintenance in (config.database, *_MAINTENANCE):
        try:
            with connected(config, maintenance, autocommit=True) as connection:
                done = "present" if maintenance == config.database else _create(connection, config.database)
                return f"database {config.database}: {done}"
        except StopError as error:
            if "does not exist" not in str(error):
                raise
    raise StopError(f"{where(config)}: none of {', '.join(_MAINTENANCE)} can be connected to")


def _create(connection: psycopg.Connection[Any], database: str) -> str:
    try:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return "present, made by another just now"
    disable_jit_in(connection, database)
    return "made"
