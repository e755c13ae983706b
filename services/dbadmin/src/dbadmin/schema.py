"""The schema, at the newest revision, with its day partitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from psycopg import sql

from dbadmin import partitions, timescale
from dbadmin.connect import connected, conninfo, explained

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig

VERSION_TABLE = "schema_version"
# Any number that no other program uses for its advisory lock: "wamon" in ASCII.
_LOCK = 0x77616D6F6E


def create_schema(config: DatabaseConfig, today: dt.date) -> Iterator[str]:
    """Bring the schema to the newest revision and make the day partitions; a line for each thing done.

    May be repeated, also by several at once: an advisory lock lets one work at a time. Each step is one transaction.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    yield from _upgrade(config)
    with connected(config, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        yield from timescale.settle(connection, config)
        if partitions.is_partitioned(connection, config.schema):
            yield from partitions.make_ahead(connection, config.schema, today, config.partitions_ahead)


def _upgrade(config: DatabaseConfig) -> Iterator[str]:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo(config)))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            driver: Any = connection.connection.driver_connection
            driver.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(config.schema)))
            before = _revision(connection, config.schema)
            alembic = AlembicConfig()
            alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            alembic.attributes.update(connection=connection, schema=config.schema)
            command.upgrade(alembic, "head")
            after = _revision(connection, config.schema)
    except psycopg.Error as error:
        raise explained(error, config) from None
    except sqlalchemy.exc.DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise explained(error.orig, config) from None
        raise
    finally:
        engine.dispose()
    yield f"schema {config.schema}: at revision {after}" + (
        " already" if before == after else f", was {before or 'empty'}"
    )


def _revision(connection: sqlalchemy.Connection, schema: str) -> str | None:
    options = {"version_table": VERSION_TABLE, "version_table_schema": schema}
    return MigrationContext.configure(connection, opts=options).get_current_revision()
