"""A file of targets as rows for PostgreSQL's COPY: plain lines unchanged, the others parsed first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql

from dbadmin.targets.plain_lines import PlainLines, plain_json
from dbadmin.targets.table import aliased_columns
from monitoring_core.tables import TARGET_TABLE
from monitoring_core.targets.files import FIELDS, CsvRecords, FileFormat, JsonRecords, Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import psycopg

    from monitoring_core.targets import TargetRecord
    from monitoring_core.targets.lines import Lines


@attrs.frozen
class Rows:
    """Good lines as PostgreSQL's CSV: the number of the line, then its columns."""

    count: int
    content: bytes


class CsvStaging:
    """A CSV file, whose plain lines are passed on unchanged.

    Attributes:
        columns: the fields that each row has, in order.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._records = CsvRecords(lines)
        self.columns = self._records.columns

    def __iter__(self) -> Iterator[Rows | Line]:
        """The good lines as rows, the bad ones as lines with their problems."""
        if not self.columns:
            yield from self._records
            return
        plain = PlainLines(self.columns)
        while block := self._lines.block():
            first = self._lines.number + 1
            if plain.all(block):
                self._lines.skip(len(block))
                yield Rows(len(block), b"".join([_numbered(n, line) for n, line in enumerate(block, first)]))
            else:
                yield from _joined(self._one_by_one(plain, first + len(block)))

    def _one_by_one(self, plain: PlainLines, end: int) -> Iterator[bytes | Line]:
        """The rows of the lines before number `end`, and of later lines that belong to the last record."""
        lines = self._lines
        while lines.number + 1 < end:
            if (line := lines.peek()) in plain:
                lines.skip(1)
                yield _numbered(lines.number, line)
            elif found := next(self._records, None):
                yield _row(found, self.columns)


class JsonStaging:
    """A file of JSON Lines.

    Attributes:
        columns: the fields that each row has, in order.
    """

    columns = FIELDS

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._records = JsonRecords(lines)

    def __iter__(self) -> Iterator[Rows | Line]:
        """The good lines as rows, the bad ones as lines with their problems."""
        while block := self._lines.block():
            yield from _joined(self._one_by_one(block))

    def _one_by_one(self, block: Sequence[bytes]) -> Iterator[bytes | Line]:
        for line in block:
            if record := plain_json(line):
                self._lines.skip(1)
                yield _row(Line(self._lines.number, record), FIELDS)
            elif not line.strip():  # JsonRecords would skip it and read the next line, too
                self._lines.skip(1)
            elif found := next(self._records, None):
                yield _row(found, FIELDS)


def staging(lines: Lines, file_format: FileFormat) -> CsvStaging | JsonStaging:
    """The rows of a file."""
    return CsvStaging(lines) if file_format is FileFormat.CSV else JsonStaging(lines)


def stage(
    connection: psycopg.Connection[Any], schema: str, contents: Iterable[bytes], columns: Sequence[str] = FIELDS
) -> None:
    """Copy rows into the temporary table `staged` of this session."""
    statement = "CREATE TEMP TABLE staged ON COMMIT DROP AS SELECT 0::bigint AS line, {} FROM {} WITH NO DATA"
    table = sql.Identifier(schema, TARGET_TABLE)
    connection.execute(sql.SQL(statement).format(aliased_columns(), table))
    connection.execute("ALTER TABLE staged ALTER active SET DEFAULT true")
    copy_in = f"COPY staged ({', '.join(('line', *columns))}) FROM STDIN (FORMAT csv)"
    with connection.cursor().copy(copy_in) as copy:
        for content in contents:
            copy.write(content)
    connection.execute("ANALYZE staged")


def _numbered(number: int, line: bytes) -> bytes:
    return b"%d,%b\n" % (number, line.rstrip(b"\r\n"))


def _joined(parts: Iterator[bytes | Line]) -> Iterator[Rows | Line]:
    """The rows joined into one Rows, after the bad lines among them."""
    rows: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            rows.append(part)
        else:
            yield part
    if rows:
        yield Rows(len(rows), b"".join(rows))


def _row(line: Line, columns: Sequence[str]) -> bytes | Line:
    """The record as a row; the line itself when it has no record."""
    return line if line.record is None else _csv_row(line.number, line.record, columns)


def _csv_row(number: int, record: TargetRecord, columns: Sequence[str]) -> bytes:
    values = (getattr(record, column) for column in columns)
    return f"{number},{','.join(map(_csv, values))}\n".encode()


def _csv(value: Any) -> str:
    """A value in PostgreSQL's CSV, which reads an empty value as NULL unless it is quoted."""
    match value:
        case None:
            return ""
        case str():
            text = value
        case dict() | list():
            text = json.dumps(value, ensure_ascii=False)
        case _:
            return str(value).lower()
    return '"' + text.replace('"', '""') + '"'
