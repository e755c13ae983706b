"""Files of targets: CSV with a header, and JSON Lines."""

from __future__ import annotations

import csv
import enum
import json
from typing import IO, TYPE_CHECKING, Any

import attrs

from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets.lines import MAX_LINE, Lines
from monitoring_core.targets.record import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LONG_LINE = f"is longer than {MAX_LINE // 1024} KiB, and nothing after it was read"
NOT_UTF8 = "is not UTF-8 text"
FIELDS = tuple(attrs.fields_dict(TargetRecord))
_FIELDS_IN_BYTES = frozenset(name.encode() for name in FIELDS)
NO_HEADER = "must be the header, which names the fields, like url,regexp"
IS_HEADER = "is the header of CSV, which needs a name that ends with .csv, or --format csv"
_OTHER_SIGNS = {";": "semicolons", "\t": "tabs", "|": "bars"}
# Fields that CSV holds as JSON, and what that must be.
_JSON_FIELDS = {
    "headers": "object",
    "labels": "object",
    "further_regexps": "array",
    "further_forbidden_regexps": "array",
    "expected_headers": "object",
    "expected_json": "object",
    "secret_headers": "array",
}


class FileFormat(enum.StrEnum):
    """How a file of targets is written."""

    CSV = "csv"
    JSONL = "jsonl"


@attrs.frozen
class Line:
    """One line of a file: its record, or its problems."""

    number: int
    record: TargetRecord | None
    problems: tuple[str, ...] = ()


def read_targets(file: IO[bytes], file_format: FileFormat) -> Iterator[Line]:
    """The targets of a file, line by line; empty lines are skipped."""
    lines = Lines(file)
    return CsvRecords(lines) if file_format is FileFormat.CSV else JsonRecords(lines)


class JsonRecords:
    """Targets in JSON Lines. Reads no line in advance, so that a caller may also read from the same `lines`."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        for line in self._lines:
            if len(line) > MAX_LINE:
                return _bad(self._lines, LONG_LINE)
            if line.strip():
                return self._record(line)
        raise StopIteration

    def _record(self, line: bytes) -> Line:
        try:
            fields = json.loads(line)
        except UnicodeDecodeError:
            return _bad(self._lines, NOT_UTF8)
        except (ValueError, RecursionError):
            is_header = not _FIELDS_IN_BYTES.isdisjoint(line.strip().split(b","))
            return _bad(self._lines, IS_HEADER if is_header else "is not JSON")
        if not isinstance(fields, dict):
            return _bad(self._lines, "must be a JSON object")
        try:
            return Line(self._lines.number, TargetRecord.parse(fields))
        except InvalidTargetError as error:
            return Line(self._lines.number, None, error.problems)


class CsvRecords:
    """Targets in CSV. Reads no line in advance, so that a caller may also read from the same `lines`.

    Attributes:
        columns: the header's fields; empty when the header is missing, or is wrong, which is then the only line given.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._reader = csv.reader(self._text(), strict=True)
        self._pending: Line | None
        header, self._pending = self._next()
        self.columns: tuple[str, ...] = ()
        if header and (faults := tuple(_header_faults(header))):
            self._pending = Line(lines.number, None, faults)
        elif header:
            self.columns = tuple(header)

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        if pending := self._pending:
            self._pending = None
            return pending
        if not self.columns:
            raise StopIteration
        values, fault = self._next()
        if fault:
            return fault
        if not values:
            raise StopIteration
        return self._record(values)

    def _next(self) -> tuple[list[str], Line | None]:
        """The values of the next line that is not empty, or its fault; no values at the end of the file."""
        try:
            return next(filter(None, self._reader), []), None
        except csv.Error as error:
            return [], _bad(self._lines, f"is not CSV: {error}")

    def _record(self, values: list[str]) -> Line:
        if len(values) != len(self.columns):
            return _bad(self._lines, "has not as many fields as the header")
        if not _are_text(values):
            return _bad(self._lines, NOT_UTF8)
        try:
            fields = {name: value for name, value in zip(self.columns, values, strict=True) if value != ""}
            return Line(self._lines.number, parse_texts(fields))
        except InvalidTargetError as error:
            return Line(self._lines.number, None, error.problems)

    def _text(self) -> Iterator[str]:
        for line in self._lines:
            if len(line) > MAX_LINE:
                raise csv.Error(LONG_LINE)
            yield line.decode(errors="surrogateescape")


def _are_text(values: Iterable[str]) -> bool:
    """Whether all bytes of the values were UTF-8."""
    return not any("\udc80" <= c <= "\udcff" for value in values if not value.isascii() for c in value)


def _header_faults(header: list[str]) -> Iterator[str]:
    if not _are_text(header):
        yield NOT_UTF8
        return
    if not any(name in FIELDS for name in header):  # perhaps a first target, of whose URL no password may be shown
        signs = [name for sign, name in _OTHER_SIGNS.items() if not {*header[0].split(sign)}.isdisjoint(FIELDS)]
        yield f"has {signs[0]} between the fields: must be commas" if signs else NO_HEADER
        return
    for name in header:
        if name not in FIELDS:
            yield f"{name[:100]}: no such field; there are {', '.join(FIELDS)}"
        elif header.count(name) > 1:
            yield f"{name}: stands in the header twice"
    if "url" not in header:
        yield "url: is not in the header"


def _bad(lines: Lines, problem: str) -> Line:
    return Line(lines.number, None, (problem,))


def parse_texts(fields: Mapping[str, str]) -> TargetRecord:
    """Read a target of which every field is a text, as in CSV: lists and objects are JSON.

    Raises:
        InvalidTargetError: with every problem found.
    """
    values: dict[str, Any] = dict(fields)
    problems = []
    for name, kind in _JSON_FIELDS.items():
        if name in values:
            try:
                values[name] = json.loads(values[name])
            except (ValueError, RecursionError):
                problems.append(f"{name}: must be a JSON {kind}")
    if problems:
        raise InvalidTargetError(problems)
    return TargetRecord.parse(values, from_text=True)


def write_targets(file: IO[str], file_format: FileFormat, records: Iterable[TargetRecord]) -> int:
    """Write targets so that reading the file gives the same targets; returns their number."""
    writer = csv.DictWriter(file, FIELDS)
    if file_format is FileFormat.CSV:
        writer.writeheader()
    count = 0
    for count, record in enumerate(records, start=1):  # noqa: B007 (the last value is the answer)
        fields = {name: value for name, value in attrs.asdict(record).items() if value is not None}
        if file_format is FileFormat.CSV:
            writer.writerow({name: csv_value(value) for name, value in fields.items()})
        else:
            file.write(json.dumps(fields, ensure_ascii=False) + "\n")
    return count


def csv_value(value: object) -> object:
    """A value as CSV has it: true and false in small letters, JSON for what is not one value."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | tuple) else value
