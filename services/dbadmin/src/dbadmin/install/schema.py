"""The schema, at the newest revision, with its day partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbadmin.connect import connected, one_row
from dbadmin.history import mending, partitions, timescale
from dbadmin.install.locks import hold_installation_lock, say_nothing
from dbadmin.install.privileges import grant_privileges
from dbadmin.install.revisions import upgrade, upgrade_sql
from monitoring_core.config import TimeSeries
from monitoring_core.errors import StopError
from monitoring_runtime.postgres import where

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    import psycopg

    from dbadmin.install.locks import Tell
    from monitoring_core.config import DatabaseConfig, RolesConfig


def check_encoding(connection: psycopg.Connection[Any], config: DatabaseConfig) -> None:
    """Find out whether every text can be stored.

    Raises:
        StopError: the database is not in UTF8.
    """
    (encoding,) = one_row(connection, "SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise StopError(
            f"{where(config)}: database {config.database} has the encoding {encoding}, in which not every result can "
            "be stored, and must have UTF8: name another database in database.database, and dbadmin setup makes it so"
        )


def create_schema(
    config: DatabaseConfig, today: dt.date, roles: RolesConfig | None = None, tell: Tell = say_nothing
) -> Iterator[str]:
    """Bring the schema to the newest revision and make the day partitions; yields one line for each step.

    May be repeated, even by several processes at once: an advisory lock lets one work at a time, and the others wait
    for it as long as `locks.GIVE_UP_S`. Each step is one transaction.

    Args:
        roles: the accounts that are given their rights on everything new.
        tell: is told what is waited for.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        check_encoding(connection, config)
    yield upgrade(config, tell)
    with connected(config, autocommit=True) as connection:
        hold_installation_lock(connection, tell, session=True)
        yield from timescale.apply_setting(connection, config)
        if partitions.is_partitioned(connection, config.schema):
            yield from mending.mend(connection, config.schema)
            yield from partitions.make_ahead(connection, config.schema, today, config.partitions_ahead)
        if roles:
            with connection.transaction():
                lines = grant_privileges(connection, config.schema, roles)
            yield from lines


def create_schema_sql(config: DatabaseConfig, today: dt.date) -> str:
    """The statements that create_schema would run, without rights and TimescaleDB. Nothing is changed.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        tables = partitions.day_tables(connection, config.schema)
    missing = [
        day for day in partitions.days(today, config.partitions_ahead) if not tables.get(partitions.name_of(day))
    ]
    if config.timeseries is not TimeSeries.NATIVE:
        missing = []
    statements = [statement for day in missing for statement in partitions.statements(config.schema, day)]
    return upgrade_sql(config) + "".join(f"\n{statement.as_string()};" for statement in statements)
