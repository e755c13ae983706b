"""Targets in the database: reading, counting, adding, changing and removing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from dbadmin.connect import connected, one_row
from dbadmin.targets.ids import raise_sequence
from monitoring_core.assignment import producers_needed
from monitoring_core.errors import StopError
from monitoring_core.tables import TARGET_COLUMNS, TARGET_TABLE
from monitoring_core.targets import TargetRecord, without_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from monitoring_core.config import Config, DatabaseConfig


@attrs.frozen
class Selection:
    """Some of the targets; by default all.

    Attributes:
        active: only those that are active (True) or that are not (False).
        labels: only those with all of these labels.
        url_part: only those whose URL has this in it, in capitals or not.
    """

    active: bool | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict)
    url_part: str | None = None

    def condition(self) -> tuple[sql.Composed, dict[str, object]]:
        """What follows WHERE, and its parameters."""
        condition = sql.SQL("""(amc_active = %(active)s) IS NOT FALSE AND coalesce(amc_labels, '{{}}') @> %(labels)s
            AND (strpos(lower(amc_url), lower(%(url_part)s)) > 0) IS NOT FALSE""").format()
        return condition, {"active": self.active, "labels": Jsonb(dict(self.labels)), "url_part": self.url_part}


ALL = Selection()


def read_all(config: DatabaseConfig, selection: Selection = ALL, limit: int | None = None) -> Iterator[TargetRecord]:
    """The targets in order of id, streamed.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    condition, values = selection.condition()
    statement = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY amc_id LIMIT %(limit)s").format(
        aliased_columns(), sql.Identifier(config.schema, TARGET_TABLE), condition
    )
    with connected(config) as connection, connection.cursor("targets", row_factory=class_row(TargetRecord)) as cursor:
        cursor.execute(statement, values | {"limit": limit})
        yield from cursor


def count(config: DatabaseConfig, selection: Selection = ALL) -> int:
    """The number of these targets.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    condition, values = selection.condition()
    statement = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
        sql.Identifier(config.schema, TARGET_TABLE), condition
    )
    with connected(config) as connection:
        return int(one_row(connection, statement, values)[0])


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
        raise_sequence(connection, sql.Identifier(config.schema, TARGET_TABLE))
        added = connection.execute(statement, [*map(_stored, values.values())]).fetchone()
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
    return change(config, names, lambda record: attrs.evolve(record, active=active))


def change(config: DatabaseConfig, names: Sequence[str], changed: Callable[[TargetRecord], TargetRecord]) -> int:
    """Change targets, all of them or none; returns the number of those that are not as they were.

    Args:
        names: their ids or URLs.
        changed: a target as it should be, from the target as it is.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses; one of them does not exist; another target has
            the URL that one of them should have.
    """
    with connected(config) as connection:
        found = _all_named(connection, config.schema, names, lock=True)
        return sum([_update(connection, config.schema, record, changed(record)) for record in found])


def remove(config: DatabaseConfig, names: Sequence[str]) -> int:
    """Remove targets, all of them or none; returns their number. Their results stay.

    Args:
        names: their ids or URLs.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses; one of them does not exist.
    """
    statement = sql.SQL("DELETE FROM {} WHERE amc_id = ANY(%s)").format(sql.Identifier(config.schema, TARGET_TABLE))
    with connected(config) as connection:
        found = _all_named(connection, config.schema, names, lock=True)
        return connection.execute(statement, ([record.id for record in found],)).rowcount


def _update(connection: psycopg.Connection[Any], schema: str, old: TargetRecord, new: TargetRecord) -> bool:
    """Write what differs; whether anything does."""
    before, after = attrs.asdict(old), attrs.asdict(new)
    values = {TARGET_COLUMNS[name]: value for name, value in after.items() if value != before[name]}
    if not values:
        return False
    statement = sql.SQL("UPDATE {} SET {} WHERE amc_id = %s").format(
        sql.Identifier(schema, TARGET_TABLE),
        sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in values),
    )
    try:
        connection.execute(statement, [*map(_stored, values.values()), old.id])
    except psycopg.errors.UniqueViolation:
        raise StopError("url: belongs to another target already: nothing changed") from None
    return True


def _stored(value: object) -> object:
    return Jsonb(value) if isinstance(value, dict | list) else value


def named(config: DatabaseConfig, names: Sequence[str]) -> list[TargetRecord]:
    """The targets with these ids or URLs, in order of id.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses; one of them does not exist.
    """
    with connected(config) as connection:
        return _all_named(connection, config.schema, names)


def _all_named(
    connection: psycopg.Connection[Any], schema: str, names: Sequence[str], lock: bool = False
) -> list[TargetRecord]:
    """Like `named`, on an open connection; with `lock`, nobody else changes them until its transaction ends."""
    found = find_in(connection, schema, names, lock)
    known = {str(record.id) for record in found} | {record.url for record in found}
    if missing := [without_credentials(name) for name in names if name not in known]:
        raise StopError(f"there is no target {', '.join(missing[:10])}{': nothing changed' if lock else ''}")
    return found


def find(config: DatabaseConfig, names: Sequence[str]) -> list[TargetRecord]:
    """The targets with one of these ids or URLs, in order of id; a name without a target is left out.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        return find_in(connection, config.schema, names)


def find_in(
    connection: psycopg.Connection[Any], schema: str, names: Sequence[str], lock: bool = False
) -> list[TargetRecord]:
    """Like `find`, on an open connection; with `lock`, nobody else changes them until its transaction ends."""
    statement = sql.SQL("SELECT {} FROM {} WHERE amc_id = ANY(%s) OR amc_url = ANY(%s) ORDER BY amc_id {}").format(
        aliased_columns(), sql.Identifier(schema, TARGET_TABLE), sql.SQL("FOR UPDATE" if lock else "")
    )
    ids = [int(name) for name in names if name.isascii() and name.isdecimal() and len(name) <= 18]
    with connection.cursor(row_factory=class_row(TargetRecord)) as cursor:
        return cursor.execute(statement, (ids, list(names))).fetchall()
