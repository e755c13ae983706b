"""Merging the staged targets into the table: the checks that forbid it, and the statements that change targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql

from dbadmin.connect import one_row
from dbadmin.targets.ids import raise_sequence
from monitoring_core.tables import TARGET_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    # The number of a line, its fault, and how many lines have a fault of this kind.
    BadLine = tuple[int, str, int]

MAX_REPORTED = 100
_VALUES = [name for name in TARGET_COLUMNS if name != "id"]


@attrs.frozen
class _Change:
    """A statement that changes targets, and the query that counts its rows in a dry run.

    Attributes:
        write: the beginning of the statement.
        rows: the rest of the statement, which selects the rows.
        dry_rows: the rest of the query that begins with `SELECT count(*)`, for the same rows.
    """

    write: str
    rows: str
    dry_rows: str


_NEW = "FROM staged s WHERE s.id IS NULL AND NOT EXISTS (SELECT FROM {table} k WHERE k.amc_url = s.url)"
_NEW_WITH_ID = "FROM staged s WHERE s.id IS NOT NULL AND NOT EXISTS (SELECT FROM {table} k WHERE k.amc_id = s.id)"
_DIFFERENT = "WHERE {match} AND ({current}) IS DISTINCT FROM ({theirs})"
_MISSING = """WHERE amc_active AND NOT EXISTS (SELECT FROM staged s WHERE s.url = amc_url)
    AND NOT EXISTS (SELECT FROM staged s WHERE s.id = amc_id)"""
_UPDATE = _Change(
    "UPDATE {table} t SET ({ours}) = ROW({theirs})",
    f"FROM staged s {_DIFFERENT}",
    f"FROM {{table}} t, staged s {_DIFFERENT}",
)
_INSERT = _Change("INSERT INTO {table} ({ours}) SELECT {theirs}", f"{_NEW} ORDER BY s.line", _NEW)
_INSERT_WITH_ID = _Change("INSERT INTO {table} (amc_id, {ours}) SELECT s.id, {theirs}", _NEW_WITH_ID, _NEW_WITH_ID)
_DEACTIVATE = _Change("UPDATE {table} SET amc_active = false", _MISSING, f"FROM {{table}} {_MISSING}")


@attrs.frozen
class Merge:
    """Merges the table `staged` of this session into the table of targets; a dry run only counts the changes.

    Each step returns the number of targets that it changes.
    """

    connection: psycopg.Connection[Any]
    table: sql.Identifier
    dry_run: bool

    def update(self) -> int:
        """Update the targets that the lines name by URL or by id, where they differ."""
        by_url = self._change(_UPDATE, "t.amc_url = s.url AND s.id IS NULL")
        return by_url + self._change(_UPDATE, "t.amc_id = s.id")

    def insert(self) -> int:
        """Insert the targets that the table lacks: those with an id first, so that the others get ids still free."""
        with_id = self._change(_INSERT_WITH_ID)
        if not self.dry_run:
            raise_sequence(self.connection, self.table)
        return with_id + self._change(_INSERT)

    def deactivate_missing(self) -> int:
        """Deactivate the targets that no line names."""
        return self._change(_DEACTIVATE)

    def _change(self, change: _Change, match: str = "") -> int:
        begin, rows = ("SELECT count(*)", change.dry_rows) if self.dry_run else (change.write, change.rows)
        names = {
            "table": self.table,
            "ours": sql.SQL(", ").join(sql.Identifier(TARGET_COLUMNS[name]) for name in _VALUES),
            "theirs": sql.SQL(", ").join(sql.Identifier("s", name) for name in _VALUES),
            "current": sql.SQL(", ").join(sql.Identifier("t", TARGET_COLUMNS[name]) for name in _VALUES),
            "match": sql.SQL(match),
        }
        statement = sql.SQL(f"{begin} {rows}").format(**names)
        if self.dry_run:
            return int(one_row(self.connection, statement)[0])
        return self.connection.execute(statement).rowcount


def repeated(connection: psycopg.Connection[Any], name: str) -> Sequence[BadLine]:
    """Lines with the same id or URL (`name`) as an earlier line, at most MAX_REPORTED."""
    statement = """
        SELECT line, {label} || ': is the same as in line ' || first, count(*) OVER () FROM staged JOIN (
            SELECT {name}, min(line) AS first FROM staged GROUP BY {name} HAVING count(*) > 1
        ) repeated USING ({name}) WHERE line > first ORDER BY line LIMIT {most}"""
    names = {"label": sql.Literal(name), "name": sql.Identifier(name), "most": sql.Literal(MAX_REPORTED)}
    return connection.execute(sql.SQL(statement).format(**names)).fetchall()


def clashes(connection: psycopg.Connection[Any], table: sql.Identifier) -> Sequence[BadLine]:
    """Lines whose URL belongs to another target, at most MAX_REPORTED.

    A line without an id is also bad when another line gives the target of its URL another URL.
    """
    statement = """
        SELECT line, problem, count(*) OVER () FROM (
            SELECT s.line, 'url: belongs to target ' || t.amc_id || ' already' AS problem
            FROM staged s JOIN {table} t ON t.amc_url = s.url WHERE s.id IS NOT NULL AND t.amc_id <> s.id
            UNION ALL
            SELECT s.line, 'url: belongs to target ' || t.amc_id || ', to which line ' || other.line || ' gives another'
            FROM staged s JOIN {table} t ON t.amc_url = s.url JOIN staged other ON other.id = t.amc_id
            WHERE s.id IS NULL
        ) clashes ORDER BY line LIMIT {most}"""
    names = {"table": table, "most": sql.Literal(MAX_REPORTED)}
    return connection.execute(sql.SQL(statement).format(**names)).fetchall()
