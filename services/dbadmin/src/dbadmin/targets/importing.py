"""Importing targets: staged without a lock, then merged in one short transaction, all of them or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql

from dbadmin.connect import connected
from dbadmin.targets.staging import Rows
from monitoring_core.errors import StopError
from monitoring_core.tables import TARGET_COLUMNS, TARGET_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbadmin.targets.staging import CsvStaging, JsonStaging
    from monitoring_core.config import DatabaseConfig

MAX_REPORTED = 100
_VALUES = [name for name in TARGET_COLUMNS if name != "id"]


@attrs.define
class ImportCounts:
    """What an import did, or would do, in lines and in targets."""

    read: int = 0
    bad: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    deactivated: int = 0


class _UndoError(Exception):
    """Leave the database as it was."""


@attrs.frozen
class Import:
    """How to import.

    Attributes:
        report: is told the number and the reason of each bad line, up to MAX_REPORTED of them.
        progress: is told how many lines are staged, as they are.
        dry_run: look at everything, also at the table, lock nothing and change nothing.
        deactivate_missing: deactivate the targets that the file does not have.
    """

    report: Callable[[int, str], None]
    progress: Callable[[int], None] = lambda _: None
    dry_run: bool = False
    deactivate_missing: bool = False

    def run(self, config: DatabaseConfig, rows: CsvStaging | JsonStaging) -> ImportCounts:
        """Add or update targets, by id where one is given, else by URL: all of them, or none when any line is bad.

        Other sessions wait for the last step alone, in which what is staged is merged into the table; readers never do.

        Raises:
            OutageError, StopError: PostgreSQL cannot be reached, or refuses; an empty file would deactivate all.
        """
        counts = ImportCounts()
        try:
            with connected(config) as connection:
                _stage(connection, config.schema, rows, self._good(rows, counts))
                if self.deactivate_missing and not counts.read:
                    raise StopError("the file has no targets, and --deactivate-missing would deactivate all of them")
                for name in ("url", "id"):
                    self._bad(_twice(connection, name), counts)
                if not counts.bad:
                    self._merge(connection, sql.Identifier(config.schema, TARGET_TABLE), counts)
                if counts.bad or self.dry_run:
                    raise _UndoError
        except _UndoError:
            pass
        return counts

    def _good(self, rows: CsvStaging | JsonStaging, counts: ImportCounts) -> Iterator[bytes]:
        for part in rows:
            if isinstance(part, Rows):
                counts.read += part.count
                yield part.content
            else:
                counts.read += 1
                self._bad([(part.number, "; ".join(part.problems), 1)], counts)
            self.progress(counts.read)

    def _bad(self, found: list[tuple[int, str, int]], counts: ImportCounts) -> None:
        """Count and report bad lines: number, problem, and how many there are of the kind; not all need be here."""
        for number, problem, _ in found[: max(0, MAX_REPORTED - counts.bad)]:
            self.report(number, problem)
        counts.bad += found[0][2] if found else 0

    def _merge(self, connection: Any, table: sql.Identifier, counts: ImportCounts) -> None:
        if not self.dry_run:
            # Others may not change targets between what is looked at here and what is written.
            connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table))
        self._bad(_against_the_table(connection, table), counts)
        if counts.bad:
            return
        counts.updated = self._change(connection, table, _UPDATE, "t.amc_url = s.url AND s.id IS NULL")
        counts.updated += self._change(connection, table, _UPDATE, "t.amc_id = s.id")
        given = self._change(connection, table, _INSERT_GIVEN)
        if given and not self.dry_run:
            _raise_sequence(connection, table)
        counts.added = given + self._change(connection, table, _INSERT)
        counts.unchanged = counts.read - counts.added - counts.updated
        if self.deactivate_missing:
            counts.deactivated = self._change(connection, table, _DEACTIVATE)

    def _change(self, connection: Any, table: sql.Identifier, change: _Change, match: str = "") -> int:
        """Make a change, or count what it would change."""
        begin, rows = ("SELECT count(*)", change.dry_rows) if self.dry_run else (change.write, change.rows)
        ours = sql.SQL(", ").join(sql.Identifier(TARGET_COLUMNS[name]) for name in _VALUES)
        theirs = sql.SQL(", ").join(sql.Identifier("s", name) for name in _VALUES)
        current = sql.SQL(", ").join(sql.Identifier("t", TARGET_COLUMNS[name]) for name in _VALUES)
        names = {"table": table, "ours": ours, "theirs": theirs, "current": current, "match": sql.SQL(match)}
        done = connection.execute(sql.SQL(f"{begin} {rows}").format(**names))
        return int(done.fetchone()[0] if self.dry_run else done.rowcount)


@attrs.frozen
class _Change:
    """A statement that changes targets, and how to count the rows that it would change.

    Attributes:
        write: how it begins.
        rows: the rest of it, which says the rows.
        dry_rows: the same rows for `SELECT count(*)`.
    """

    write: str
    rows: str
    dry_rows: str


_NEW = "FROM staged s WHERE s.id IS NULL AND NOT EXISTS (SELECT FROM {table} k WHERE k.amc_url = s.url)"
_NEW_GIVEN = "FROM staged s WHERE s.id IS NOT NULL AND NOT EXISTS (SELECT FROM {table} k WHERE k.amc_id = s.id)"
_DIFFERENT = "WHERE {match} AND ({current}) IS DISTINCT FROM ({theirs})"
_MISSING = """WHERE amc_active AND NOT EXISTS (SELECT FROM staged s WHERE s.url = amc_url)
    AND NOT EXISTS (SELECT FROM staged s WHERE s.id = amc_id)"""
_UPDATE = _Change(
    "UPDATE {table} t SET ({ours}) = ROW({theirs})",
    f"FROM staged s {_DIFFERENT}",
    f"FROM {{table}} t, staged s {_DIFFERENT}",
)
_INSERT = _Change("INSERT INTO {table} ({ours}) SELECT {theirs}", f"{_NEW} ORDER BY s.line", _NEW)
_INSERT_GIVEN = _Change("INSERT INTO {table} (amc_id, {ours}) SELECT s.id, {theirs}", _NEW_GIVEN, _NEW_GIVEN)
_DEACTIVATE = _Change("UPDATE {table} SET amc_active = false", _MISSING, f"FROM {{table}} {_MISSING}")


def _stage(connection: Any, schema: str, rows: CsvStaging | JsonStaging, contents: Iterator[bytes]) -> None:
    """Copy the good lines into a table of this session's own, on which nobody waits."""
    columns = [
        sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
        for name, column in TARGET_COLUMNS.items()
    ]
    statement = "CREATE TEMP TABLE staged ON COMMIT DROP AS SELECT 0::bigint AS line, {} FROM {} WITH NO DATA"
    table = sql.Identifier(schema, TARGET_TABLE)
    connection.execute(sql.SQL(statement).format(sql.SQL(", ").join(columns), table))
    connection.execute("ALTER TABLE staged ALTER active SET DEFAULT true")
    copy_in = f"COPY staged ({', '.join(('line', *rows.columns))}) FROM STDIN (FORMAT csv)"
    with connection.cursor().copy(copy_in) as copy:
        for content in contents:
            copy.write(content)
    connection.execute("ANALYZE staged")


def _twice(connection: Any, name: str) -> list[tuple[int, str, int]]:
    """Lines that say the same id or URL as one before them."""
    statement = """
        SELECT line, {label} || ': is the same as in line ' || first, count(*) OVER () FROM staged JOIN (
            SELECT {name}, min(line) AS first FROM staged GROUP BY {name} HAVING count(*) > 1
        ) repeated USING ({name}) WHERE line > first ORDER BY line LIMIT {most}"""
    names = {"label": sql.Literal(name), "name": sql.Identifier(name), "most": sql.Literal(MAX_REPORTED)}
    return list(connection.execute(sql.SQL(statement).format(**names)).fetchall())


def _against_the_table(connection: Any, table: sql.Identifier) -> list[tuple[int, str, int]]:
    """Lines that cannot stand beside what the table holds, or beside what another line makes of it."""
    statement = """
        SELECT line, problem, count(*) OVER () FROM (
            SELECT s.line, 'url: belongs to target ' || t.amc_id || ' already' AS problem
            FROM staged s JOIN {table} t ON t.amc_url = s.url WHERE s.id IS NOT NULL AND t.amc_id <> s.id
            UNION ALL
            SELECT s.line, 'url: belongs to target ' || t.amc_id || ', to which line ' || other.line || ' gives another'
            FROM staged s JOIN {table} t ON t.amc_url = s.url JOIN staged other ON other.id = t.amc_id
            WHERE s.id IS NULL
        ) clashes ORDER BY line LIMIT {most}"""
    done = connection.execute(sql.SQL(statement).format(table=table, most=sql.Literal(MAX_REPORTED)))
    return list(done.fetchall())


def _raise_sequence(connection: Any, table: sql.Identifier) -> None:
    """Let the next id be larger than any in the table. Never lower it: a deleted target keeps its id."""
    name = table.as_string(connection)
    (sequence,) = connection.execute("SELECT pg_get_serial_sequence(%s, 'amc_id')", (name,)).fetchone()
    statement = sql.SQL("SELECT setval(%s, greatest((SELECT max(amc_id) FROM {}), (SELECT last_value FROM {})))")
    connection.execute(statement.format(table, sql.SQL(sequence)), (sequence,))
