"""A file of targets as rows that PostgreSQL takes by COPY: most lines as they stand, the others after a closer look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from dbadmin.targets.files import FIELDS, CsvRecords, FileFormat, JsonRecords, Line
from dbadmin.targets.plain_lines import PlainLines, plain_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbadmin.targets.lines import Lines


@attrs.frozen
class Rows:
    """Good lines: for each the line's number and the columns, in PostgreSQL's CSV."""

    count: int
    content: bytes


class CsvStaging:
    """A CSV file; plain lines go on as they are.

    Attributes:
        columns: the fields that each row has, in order.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._records = CsvRecords(lines)
        self.columns = self._records.columns

    def __iter__(self) -> Iterator[Rows | Line]:
        """Good lines as rows, bad ones as what is wrong with them."""
        if not self.columns:
            yield from self._records
            return
        plain = PlainLines(self.columns)
        while at_hand := self._lines.at_hand():
            first = self._lines.number + 1
            if plain.all(at_hand):
                self._lines.skip(len(at_hand))
                yield Rows(len(at_hand), b"".join([_numbered(n, line) for n, line in enumerate(at_hand, first)]))
            else:
                yield from _gathered(self._one_by_one(plain, first + len(at_hand)))

    def _one_by_one(self, plain: PlainLines, end: int) -> Iterator[bytes | Line]:
        """Up to the end of the lines at hand, or beyond where their last record goes on there."""
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
        """Good lines as rows, bad ones as what is wrong with them."""
        while at_hand := self._lines.at_hand():
            yield from _gathered(self._one_by_one(at_hand))

    def _one_by_one(self, at_hand: Sequence[bytes]) -> Iterator[bytes | Line]:
        for line in at_hand:
            if record := plain_json(line):
                self._lines.skip(1)
                yield _row(Line(self._lines.number, record), FIELDS)
            elif not line.strip():  # the records would pass over it and take the next line too
                self._lines.skip(1)
            elif found := next(self._records, None):
                yield _row(found, FIELDS)


def staging(lines: Lines, file_format: FileFormat) -> CsvStaging | JsonStaging:
    """The rows of a file."""
    return CsvStaging(lines) if file_format is FileFormat.CSV else JsonStaging(lines)


def _numbered(number: int, line: bytes) -> bytes:
    return b"%d,%b\n" % (number, line.rstrip(b"\r\n"))


def _gathered(parts: Iterator[bytes | Line]) -> Iterator[Rows | Line]:
    """Rows one after another as one."""
    rows: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            rows.append(part)
        else:
            yield part
    if rows:
        yield Rows(len(rows), b"".join(rows))


def _row(line: Line, columns: Sequence[str]) -> bytes | Line:
    """The record as a row; the line itself when there is none in it."""
    if line.record is None:
        return line
    values = (getattr(line.record, column) for column in columns)
    return f"{line.number},{','.join(map(_csv, values))}\n".encode()


def _csv(value: Any) -> str:
    """A value in PostgreSQL's CSV, in which only what is not quoted can be NULL."""
    match value:
        case None:
            return ""
        case str():
            text = value
        case dict():
            text = json.dumps(value, ensure_ascii=False)
        case _:
            return str(value).lower()
    return '"' + text.replace('"', '""') + '"'
