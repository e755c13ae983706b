"""The schema, at the newest revision, with its day partitions."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbadmin.connect import connected
from dbadmin.locks import INSTALLATION_LOCK
from dbadmin.privileges import grant_privileges
from dbadmin.revisions import upgrade, upgrade_sql
from monitoring_core.tables import RESULT_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig, RolesConfig


def create_schema(config: DatabaseConfig, today: dt.date, roles: RolesConfig | None = None) -> Iterator[str]:
    """Bring the schema to the newest revision and make the day partitions; a line for each thing done.

    The accounts in `roles` get their rights on what is new.

    May be repeated, also by several at once: an advisory lock lets one work at a time. Each step is one transaction.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    yield upgrade(config)
    with connected(config) as connection:
        yield from create_partitions(connection, config, today)
        if roles:
            yield from grant_privileges(connection, config.schema, roles)


def create_schema_sql(config: DatabaseConfig, today: dt.date) -> str:
    """The statements that create_schema would run, but for rights. Nothing is changed.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        present = {
            str(name)
            for (name,) in connection.execute(
                "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s",
                (config.schema,),
            ).fetchall()
        }
    names = {f"{RESULT_TABLE}_{day:%Y%m%d}": day for day in days(today, config.partitions_ahead)}
    partitions = [_partition(config.schema, name, day) for name, day in names.items() if name not in present]
    return upgrade_sql(config) + "".join(f"\n{statement.as_string()};" for statement in partitions)


def create_partitions(connection: psycopg.Connection[Any], config: DatabaseConfig, today: dt.date) -> Iterator[str]:
    """Make the missing day partitions from yesterday to `partitions_ahead` days ahead; a line about what was done.

    A day of which the default partition already holds rows stays there.
    """
    made = 0
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (INSTALLATION_LOCK,))
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
