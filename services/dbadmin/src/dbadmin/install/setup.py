"""The whole set-up: database, accounts, schema, topics."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from dbadmin.connect import connected
from dbadmin.history.statistics import compile_nothing_in
from dbadmin.install.roles import create_roles
from dbadmin.install.schema import create_schema
from dbadmin.install.topics import create_topics
from monitoring_core.config import Role
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import Config, DatabaseConfig

# Where to connect to make a database; the second is Aiven's.
_MAINTENANCE = ("postgres", "defaultdb")


def set_up(config: Config) -> Iterator[str]:
    """Make what is missing, in order; a line for each thing done. May be repeated."""
    yield create_database(config.database)
    yield from create_roles(config)
    owner = config.database_as(Role.ADMINISTRATOR) or config.database
    yield from create_schema(owner, dt.datetime.now(dt.UTC).date(), config.roles)
    yield from create_topics(config.kafka, config.kafka.partitions, config.kafka.replication_factor)


def create_database(config: DatabaseConfig) -> str:
    """Make the database when it is missing; what was done.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    for maintenance in (config.database, *_MAINTENANCE):
        try:
            with connected(config, maintenance, autocommit=True) as connection:
                if maintenance == config.database:
                    return f"database {config.database}: present"
                try:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(config.database)))
                except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    return f"database {config.database}: present, made by another just now"
                compile_nothing_in(connection, config.database)
                return f"database {config.database}: made"
        except StopError as error:
            if "does not exist" not in str(error):
                raise
    raise StopError(f"PostgreSQL at {config.address}: none of {', '.join(_MAINTENANCE)} can be connected to")
