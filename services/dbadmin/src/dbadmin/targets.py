"""Targets in the database: import, export, count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from dbadmin.connect import connected
from monitoring_core.assignment import producers_needed
from monitoring_core.tables import TARGET_COLUMNS, TARGET_TABLE
from monitoring_core.target import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dbadmin.target_files import Line
    from monitoring_core.config import Config, DatabaseConfig

MAX_REPORTED = 1_000
_JSON_FIELDS = ("headers", "labels")


@attrs.define
class ImportCounts:
    """What an import did, or would do."""

    read: int = 0
    bad: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0


class _UndoError(Exception):
    """Leave the database as it was."""


def import_targets(
    config: DatabaseConfig, lines: Iterable[Line], report: Callable[[int, str], None], dry_run: bool
) -> ImportCounts:
    """Add or update targets, by id where one is given, else by URL: all of them, or none when any line is bad.

    Args:
        report: is told the number and the reason of each bad line, up to MAX_REPORTED.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    counts = ImportCounts()
    try:
        with connected(config) as connection:
            _stage(connection, config.schema, _good(lines, report, counts))
            for line, problem in _clashes(connection, config.schema):
                counts.bad += 1
                report(line, problem)
            if counts.bad:
                raise _UndoError
            counts.added, counts.updated = _merge(connection, config.schema, dry_run)
            counts.unchanged = counts.read - counts.added - counts.updated
            if dry_run:
                raise _UndoError
    except _UndoError:
        pass
    return counts


def _good(
    lines: Iterable[Line], report: Callable[[int, str], None], counts: ImportCounts
) -> Iterator[tuple[int, TargetRecord]]:
    for line in lines:
        counts.read += 1
        if line.record is not None:
            yield line.number, line.record
            continue
        counts.bad += 1
        if counts.bad <= MAX_REPORTED:
            for problem in line.problems:
                report(line.number, problem)


def _stage(connection: Any, schema: str, records: Iterator[tuple[int, TargetRecord]]) -> None:
    names = list(TARGET_COLUMNS)
    columns = [
        sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
        for name, column in TARGET_COLUMNS.items()
    ]
    statement = sql.SQL(
        "CREATE TEMP TABLE staged ON COMMIT DROP AS SELECT 0::bigint AS line, {} FROM {} WITH NO DATA"
    ).format(sql.SQL(", ").join(columns), sql.Identifier(schema, TARGET_TABLE))
    connection.execute(statement)
    with connection.cursor().copy(f"COPY staged (line, {', '.join(names)}) FROM STDIN") as copy:
        for line, record in records:
            values = (getattr(record, name) for name in names)
            copy.write_row([line, *(Jsonb(value) if isinstance(value, dict) else value for value in values)])


def _clashes(connection: Any, schema: str) -> Iterator[tuple[int, str]]:
    """Lines that cannot stand together, or not with what the table holds."""
    for field in ("url", "id"):
        twice = sql.SQL("""
            SELECT line, {name} || ': is the same as in line ' || first FROM
            (SELECT line, {field}, min(line) OVER (PARTITION BY {field}) AS first FROM staged) s
            WHERE line > first AND {field} IS NOT NULL ORDER BY line LIMIT 1000""")
        names = {"name": sql.Literal(field), "field": sql.Identifier(field)}
        yield from connection.execute(twice.format(**names)).fetchall()
    table = sql.Identifier(schema, TARGET_TABLE)
    statement = sql.SQL("""
        SELECT s.line, 'url: belongs to target ' || t.amc_id || ' already' FROM staged s JOIN {} t ON t.amc_url = s.url
        WHERE s.id IS NOT NULL AND t.amc_id <> s.id ORDER BY s.line LIMIT 1000""")
    yield from connection.execute(statement.format(table)).fetchall()


def _merge(connection: Any, schema: str, dry_run: bool) -> tuple[int, int]:
    """Upsert what is staged; how many targets were added, and how many changed.

    A dry run leaves the sequence of ids alone, which does not roll back.
    """
    table = sql.Identifier(schema, TARGET_TABLE)
    values = [name for name in TARGET_COLUMNS if name != "id"]
    ours = sql.SQL(", ").join(sql.Identifier(TARGET_COLUMNS[name]) for name in values)
    theirs = sql.SQL(", ").join(sql.Identifier("s", name) for name in values)
    current = sql.SQL(", ").join(sql.Identifier("t", TARGET_COLUMNS[name]) for name in values)
    parts = {"table": table, "ours": ours, "theirs": theirs, "current": current}
    updated = connection.execute(
        sql.SQL("""
        UPDATE {table} t SET ({ours}) = ROW({theirs}) FROM staged s
        WHERE t.amc_id = coalesce(s.id, (SELECT amc_id FROM {table} k WHERE k.amc_url = s.url))
        AND ({current}) IS DISTINCT FROM ({theirs})""").format(**parts)
    ).rowcount
    given = connection.execute(
        sql.SQL("""
        INSERT INTO {table} (amc_id, {ours}) SELECT s.id, {theirs} FROM staged s
        WHERE s.id IS NOT NULL AND NOT EXISTS (SELECT FROM {table} WHERE amc_id = s.id)""").format(**parts)
    ).rowcount
    new = sql.SQL("FROM staged s WHERE s.id IS NULL AND NOT EXISTS (SELECT FROM {table} WHERE amc_url = s.url)").format(
        table=table
    )
    if dry_run:
        return given + connection.execute(sql.SQL("SELECT count(*) {}").format(new)).fetchone()[0], updated
    if given:
        _raise_sequence(connection, table)
    insert = sql.SQL("INSERT INTO {table} ({ours}) SELECT {theirs} {new} ORDER BY s.line")
    added = connection.execute(insert.format(new=new, **parts)).rowcount
    return given + added, updated


def _raise_sequence(connection: Any, table: sql.Identifier) -> None:
    """Let the next id be larger than any in the table. Never lower it: a deleted target keeps its id."""
    name = table.as_string(connection)
    (sequence,) = connection.execute("SELECT pg_get_serial_sequence(%s, 'amc_id')", (name,)).fetchone()
    statement = sql.SQL("SELECT setval(%s, greatest((SELECT max(amc_id) FROM {}), (SELECT last_value FROM {})))")
    connection.execute(statement.format(table, sql.SQL(sequence)), (sequence,))


def read_all(config: DatabaseConfig, active_only: bool = False, limit: int | None = None) -> Iterator[TargetRecord]:
    """The targets in order of id, streamed.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
        for name, column in TARGET_COLUMNS.items()
    )
    statement = sql.SQL("SELECT {} FROM {} WHERE amc_active OR NOT %s ORDER BY amc_id LIMIT %s").format(
        columns, sql.Identifier(config.schema, TARGET_TABLE)
    )
    with connected(config) as connection, connection.cursor("targets", row_factory=class_row(TargetRecord)) as cursor:
        cursor.execute(statement, (active_only, limit))
        yield from cursor


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
        statement = sql.SQL("SELECT count(*) FROM {} WHERE amc_active")
        row = connection.execute(statement.format(sql.Identifier(config.database.schema, TARGET_TABLE))).fetchone()
    active = int(row[0]) if row else 0
    size = config.monitor.websites_per_container
    return ProducerCount(active, size, producers_needed(active, size))
