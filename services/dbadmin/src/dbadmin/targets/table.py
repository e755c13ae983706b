"""Targets in the database: reading, counting, adding, activating and deactivating them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from dbadmin.connect import connected, one_row
from monitoring_core.assignment import producers_needed
from monitoring_core.errors import StopError
from monitoring_core.tables import TARGET_COLUMNS, TARGET_TABLE
from monitoring_core.targets import TargetRecord, without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from monitoring_core.config import Config, DatabaseConfig


def read_all(config: DatabaseConfig, active_only: bool = False, limit: int | None = None) -> Iterator[TargetRecord]:
    """The targets in order of id, streamed.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    statement = sql.SQL("SELECT {} FROM {} WHERE amc_active OR NOT %s ORDER BY amc_id LIMIT %s").format(
        aliased_columns(), sql.Identifier(config.schema, TARGET_TABLE)
    )
    with connected(config) as connection, connection.cursor("targets", row_factory=class_row(TargetRecord)) as cursor:
        cursor.execute(statement, (active_only, limit))
        yield from cursor


def aliased_columns() -> sql.Composed:
    """The columns of a target under the names of TargetRecord's attributes."""
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
        for name, column in TARGET_COLUMNS.items()
    )


@attrs.frozen
class ProducerCount:
    """How many producers the active targets need."""

    active: int
    websites_per_container: int
    producers: int


def producer_count(config: Config) -> ProducerCount:
    """How many producers a location needs now.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config.database) as connection:
        active = count_active(connection, config.database.schema)
    size = config.monitor.websites_per_container
    return ProducerCount(active, size, producers_needed(active, size))


def count_active(connection: psycopg.Connection[Any], schema: str) -> int:
    """The number of active targets."""
    statement = sql.SQL("SELECT count(*) FROM {} WHERE amc_active").format(sql.Identifier(schema, TARGET_TABLE))
    return int(one_row(connection, statement)[0])


def add(config: DatabaseConfig, record: TargetRecord) -> int:
    """Add a target; returns its id.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses; another target has this URL.
    """
    values = {TARGET_COLUMNS[name]: value for name, value in attrs.asdict(record).items() if value is not None}
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (amc_url) DO NOTHING RETURNING amc_id").format(
        sql.Identifier(config.schema, TARGET_TABLE),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
    )
    with connected(config) as connection:
        parameters = [Jsonb(value) if isinstance(value, dict | list) else value for value in values.values()]
        added = connection.execute(statement, parameters).fetchone()
        if not added:
            known = find_in(connection, config.schema, [record.url])[0]
            raise StopError(f"url: belongs to target {known.id} already")
    return int(added[0])


def set_active(config: DatabaseConfig, active: bool, names: Sequence[str]) -> int:
    """Activate or deactivate targets, all of them or none; returns the number of targets that this changed.

    Args:
        names: their ids or URLs.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses; one of them does not exist.
    """
    statement = sql.SQL("UPDATE {} SET amc_active = %s WHERE amc_id = ANY(%s) AND amc_active <> %s").format(
        sql.Identifier(config.schema, TARGET_TABLE)
    )
    with connected(config) as connection:
        found = find_in(connection, config.schema, names)
        known = {str(record.id) for record in found} | {record.url for record in found}
        if missing := [without_credentials(name) for name in names if name not in known]:
            raise StopError(f"there is no target {', '.join(missing[:10])}: nothing changed")
        return connection.execute(statement, (active, [record.id for record in found], active)).rowcount


def find(config: DatabaseConfig, names: Sequence[str]) -> list[TargetRecord]:
    """The targets with one of these ids or URLs, in order of id; a name without a target is left out.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        return find_in(connection, config.schema, names)


def find_in(connection: psycopg.Connection[Any], schema: str, names: Sequence[str]) -> list[TargetRecord]:
    """Like `find`, on an open connection."""
    statement = sql.SQL("SELECT {} FROM {} WHERE amc_id = ANY(%s) OR amc_url = ANY(%s) ORDER BY amc_id").format(
        aliased_columns(), sql.Identifier(schema, TARGET_TABLE)
    )
    ids = [int(name) for name in names if name.isascii() and name.isdecimal() and len(name) <= 18]
    with connection.cursor(row_factory=class_row(TargetRecord)) as cursor:
        return cursor.execute(statement, (ids, list(names))).fetchall()
