"""From one revision of the schema to another, forwards and backwards, without holding up writers."""

from __future__ import annotations

import io
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql

from dbadmin import holders
from dbadmin.connect import APPLICATION_NAME, connected, outage_or_stop
from dbadmin.install import locks
from dbadmin.install.locks import hold_installation_lock, say_nothing
from monitoring_core.errors import StopError
from monitoring_core.tables import SCHEMA_VERSION_TABLE
from monitoring_runtime.postgres import connect
from monitoring_runtime.retry import LOCKED, attempts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.script import Script

    from dbadmin.install.locks import Tell
    from monitoring_core.config import DatabaseConfig

    # What to do with the schema, given Alembic's configuration and the present revision.
    Change = Callable[[AlembicConfig, str | None], None]

BASE = "base"
# Writers queue behind a change that waits for a table, so each wait is short and there are many of them.
LOCK_TIMEOUT_MS = 1_000
_MIGRATIONS = Path(__file__).parents[1] / "migrations"


class _BusyError(Exception):
    """Another session has held a table for longer than LOCK_TIMEOUT_MS."""


def newest_revision() -> str:
    """The revision that `upgrade` brings a schema to."""
    return str(ScriptDirectory.from_config(_located()).get_current_head())


def upgrade(config: DatabaseConfig, tell: Tell = say_nothing) -> str:
    """Bring the schema to the newest revision, in one transaction; returns a line with the old and the new revision.

    Args:
        tell: is told what is waited for.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    before, after = _migrate(config, lambda alembic, _: command.upgrade(alembic, "head"), tell)
    was = " already" if before == after else f", was {before or 'empty'}"
    return f"schema {config.schema}: at revision {after}{was}"


def downgrade(config: DatabaseConfig, revision: str, tell: Tell = say_nothing) -> str:
    """Bring the schema back to a revision, in one transaction; returns a line with the old and the new revision.

    Args:
        revision: an earlier revision than the present one, or `base` for an empty schema.
        tell: is told what is waited for.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses; there is no such earlier revision.
    """

    def back(alembic: AlembicConfig, before: str | None) -> None:
        _undone(alembic, before, revision, config.schema)
        command.downgrade(alembic, revision)

    before, after = _migrate(config, back, tell)
    return f"schema {config.schema}: at revision {after or 'base'}, was {before}"


def undone(config: DatabaseConfig, revision: str) -> list[str]:
    """The revisions that `downgrade` would undo: one line for each, the newest first.

    Raises:
        OutageError, StopError: as `downgrade`.
    """
    with _engine(config) as engine, engine.connect() as connection:
        return _undone(_alembic(config), _revision(connection, config.schema), revision, config.schema)


def upgrade_sql(config: DatabaseConfig) -> str:
    """The statements that `upgrade` would run.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    create = _create_schema(config.schema).as_string() + ";\n\n"
    return create + _printed(config, lambda alembic, before: command.upgrade(alembic, _span(before, "head"), sql=True))


def downgrade_sql(config: DatabaseConfig, revision: str) -> str:
    """The statements that `downgrade` would run.

    Raises:
        OutageError, StopError: as `downgrade`.
    """

    def back(alembic: AlembicConfig, before: str | None) -> None:
        _undone(alembic, before, revision, config.schema)
        command.downgrade(alembic, _span(before, revision), sql=True)

    return _printed(config, back)


def _span(before: str | None, after: str) -> str:
    return f"{before}:{after}" if before else after


def _printed(config: DatabaseConfig, change: Change) -> str:
    with _engine(config) as engine, engine.connect() as connection:
        before = _revision(connection, config.schema)
    alembic = _alembic(config)
    alembic.output_buffer = io.StringIO()
    _known(alembic, before, config.schema)
    change(alembic, before)
    return alembic.output_buffer.getvalue()


def _migrate(config: DatabaseConfig, change: Change, tell: Tell = say_nothing) -> tuple[str | None, str | None]:
    """Change the schema; returns the revisions before and after."""
    holder = "another session"

    def tried() -> tuple[str | None, str | None]:
        nonlocal holder
        try:
            return _try_to_migrate(config, change, tell)
        except _BusyError:
            if (found := _holder(config)) and found != holder:
                holder = found
                tell(f"schema {config.schema}: waits for {holder}, for {locks.GIVE_UP_S:g} s at most")
            raise

    try:
        for attempt in attempts(_BusyError, locks.GIVE_UP_S, LOCKED):
            with attempt:
                return tried()
    except _BusyError:
        pass
    raise StopError(
        f"schema {config.schema}: {holder} has held its tables for {locks.GIVE_UP_S:g} s, so nothing was changed; try "
        "again when it is done, or end it"
    )


def _holder(config: DatabaseConfig) -> str | None:
    with connected(config) as connection:
        found = holders.of_tables(connection, config.schema)
    return str(found) if found else None


def _try_to_migrate(config: DatabaseConfig, change: Change, tell: Tell) -> tuple[str | None, str | None]:
    with _engine(config) as engine, engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        hold_installation_lock(driver, tell, session=False)
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        # CREATE SCHEMA IF NOT EXISTS needs the right to create schemas, which the owner of a present one may lack.
        if not driver.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (config.schema,)).fetchone():
            driver.execute(_create_schema(config.schema))
        before = _revision(connection, config.schema)
        alembic = _alembic(config)
        alembic.attributes["connection"] = connection
        _known(alembic, before, config.schema)
        change(alembic, before)
        return before, _revision(connection, config.schema)


@contextmanager
def _engine(config: DatabaseConfig) -> Iterator[sqlalchemy.Engine]:
    creator = partial(connect, config, APPLICATION_NAME, direct=True)
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=creator)
    try:
        yield engine
    except (psycopg.Error, sqlalchemy.exc.DBAPIError) as error:
        origin = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
        if isinstance(origin, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
            raise _BusyError from None
        if isinstance(origin, psycopg.Error):
            raise outage_or_stop(origin, config) from None
        raise
    finally:
        engine.dispose()


def _alembic(config: DatabaseConfig) -> AlembicConfig:
    alembic = _located()
    alembic.attributes["schema"] = config.schema
    return alembic


def _located() -> AlembicConfig:
    alembic = AlembicConfig()
    # ConfigParser reads a percent sign as the beginning of an interpolation.
    alembic.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return alembic


def _create_schema(schema: str) -> sql.Composed:
    return sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema))


def _revision(connection: sqlalchemy.Connection, schema: str) -> str | None:
    options = {"version_table": SCHEMA_VERSION_TABLE, "version_table_schema": schema}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def _known(alembic: AlembicConfig, revision: str | None, schema: str) -> list[Script]:
    """All revisions of this dbadmin, the newest first.

    Raises:
        StopError: the present revision is not among them.
    """
    scripts = list(ScriptDirectory.from_config(alembic).walk_revisions())
    if revision is not None and revision not in [script.revision for script in scripts]:
        newest = scripts[0].revision
        raise StopError(
            f"schema {schema} is at revision {revision}, which this dbadmin does not know (its newest is {newest}): "
            "use a newer dbadmin"
        )
    return scripts


def _undone(alembic: AlembicConfig, before: str | None, after: str, schema: str) -> list[str]:
    scripts = _known(alembic, before, schema)
    numbers = [script.revision for script in scripts]
    if after not in (BASE, *numbers):
        raise StopError(f"there is no revision {after}; there are {BASE}, {', '.join(reversed(numbers))}")
    if before is None or (after != BASE and after >= before):
        raise StopError(f"schema {schema} is at revision {before or BASE}: {after} is not before that")
    later = [script for script in scripts if script.revision <= before and (after == BASE or script.revision > after)]
    return [f"{script.revision}: {script.doc}" for script in later]
