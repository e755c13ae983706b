"""The whole set-up: database, accounts, schema, topics."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbadmin.connect import LoginRefusedError, connected
from dbadmin.history.statistics import disable_jit_in
from dbadmin.install.locks import say_nothing
from dbadmin.install.roles import create_roles
from dbadmin.install.schema import check_encoding, create_schema
from dbadmin.install.topics import create_topics
from monitoring_core.config import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.install.locks import Tell
    from monitoring_core.config import Config, DatabaseConfig

# The databases to connect to while the configured one does not exist yet. The second is Aiven's.
_MAINTENANCE = ("postgres", "defaultdb")
_FIND = "SELECT 1 FROM pg_database WHERE datname = %s"


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
    try:
        with connected(config, autocommit=True) as connection:
            check_encoding(connection, config)
            return f"database {config.database}: present"
    except LoginRefusedError as error:
        refusal = error
    for maintenance in _MAINTENANCE:
        with contextlib.suppress(LoginRefusedError), connected(config, maintenance, autocommit=True) as connection:
            if connection.execute(_FIND, (config.database,)).fetchone():
                break  # it is there, and was refused for another reason
            return f"database {config.database}: {_create(connection, config.database)}"
    raise refusal


def _create(connection: psycopg.Connection[Any], database: str) -> str:
    """Make the database in UTF8, by the server's locale if that allows it."""
    name = sql.Identifier(database)
    try:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8'").format(name))
        except psycopg.errors.InvalidParameterValue:
            # The server's template or locale is for another encoding. This one is for any.
            connection.execute(
                sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0").format(
                    name
                )
            )
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return "present, made by another just now"
    disable_jit_in(connection, database)
    return "made"
