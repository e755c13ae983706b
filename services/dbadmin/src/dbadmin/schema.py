"""The schema, at the newest revision, with its day partitions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from psycopg import sql

from dbadmin.connect import connected, conninfo, explained
from monitoring_core.tables import RESULT_TABLE

if TYPE_CHECKING:
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
    with connected(config) as connection:
        yield from create_partitions(connection, config, today)


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


def create_partitions(connection: psycopg.Connection[Any], config: DatabaseConfig, today: dt.date) -> Iterator[str]:
    """Make the missing day partitions from yesterday to `partitions_ahead` days ahead; a line about what was done.

    A day of which the default partition already holds rows stays there.
    """
    made = 0
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    for day in days(today, config.partitions_ahead):
        name = f"{RESULT_TABLE}_{day:%Y%m%d}"
        known = connection.execute(
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = %s",
            (config.schema, name),
        ).fetchone()
        if known:
            continue
        try:
            with connection.transaction():
                connection.execute(_partition(config.schema, name, day))
            made += 1
        except psycopg.errors.CheckViolation:
            yield f"partition {name}: not made, the default partition already holds rows of that day"
    yield f"partitions: {made} made, up to {today + dt.timedelta(days=config.partitions_ahead)}"


def days(today: dt.date, ahead: int) -> list[dt.date]:
    """The UTC days that want a partition: yesterday, because results arrive late, today, and `ahead` more."""
    return [today + dt.timedelta(days=offset) for offset in range(-1, ahead + 1)]


def _partition(schema: str, name: str, day: dt.date) -> sql.Composed:
    statement = sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})")
    bounds = [sql.Literal(f"{bound} 00:00:00+00") for bound in (day, day + dt.timedelta(days=1))]
    return statement.format(sql.Identifier(schema, name), sql.Identifier(schema, RESULT_TABLE), *bounds)
