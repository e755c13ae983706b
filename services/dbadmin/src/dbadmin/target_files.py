"""Files of targets: CSV with a header, and JSON Lines."""

from __future__ import annotations

import csv
import enum
import json
from typing import IO, TYPE_CHECKING, Any

import attrs

from monitoring_core.errors import InvalidTargetError
from monitoring_core.target import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LINE = 256 * 1024
FIELDS = tuple(attrs.fields_dict(TargetRecord))
_JSON_FIELDS = ("headers", "labels")


class FileFormat(enum.StrEnum):
    """How a file of targets is written."""

    CSV = "csv"
    JSONL = "jsonl"


@attrs.frozen
class Line:
    """One line of a file: the record in it, or what is wrong with it."""

    number: int
    record: TargetRecord | None
    problems: tuple[str, ...] = ()


def read_targets(file: IO[str], file_format: FileFormat) -> Iterator[Line]:
    """The targets of a file, line by line; empty lines are passed over."""
    rows = _csv_rows(file) if file_format is FileFormat.CSV else _json_rows(file)
    from_text = file_format is FileFormat.CSV
    for number, fields in rows:
        if isinstance(fields, str):
            yield Line(number, None, (fields,))
            continue
        try:
            yield Line(number, TargetRecord.parse(fields, from_text=from_text))
        except InvalidTargetError as error:
            yield Line(number, None, error.problems)


def _json_rows(file: IO[str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "is not JSON"
            continue
        yield number, fields if isinstance(fields, dict) else "must be a JSON object"


def _csv_rows(file: IO[str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    reader = csv.DictReader(file, strict=True)
    try:
        for row in reader:
            yield reader.line_num, _csv_fields(row)
    except csv.Error as error:
        yield reader.line_num, f"is not CSV: {error}"


def _csv_fields(row: dict[str | Any, str | Any]) -> dict[str, Any] | str:
    if None in row or None in row.values():
        return "has not as many fields as the header"
    fields: dict[str, Any] = {name: value for name, value in row.items() if value != ""}
    for name in _JSON_FIELDS:
        if name in fields:
            try:
                fields[name] = json.loads(fields[name])
            except (ValueError, RecursionError):
                return f"{name}: must be a JSON object"
    return fields


def write_targets(file: IO[str], file_format: FileFormat, records: Iterable[TargetRecord]) -> int:
    """Write targets so that reading them gives the same; how many were written."""
    writer = csv.DictWriter(file, FIELDS)
    if file_format is FileFormat.CSV:
        writer.writeheader()
    count = 0
    for count, record in enumerate(records, start=1):  # noqa: B007 (the last value is the answer)
        fields = {name: value for name, value in attrs.asdict(record).items() if value is not None}
        if file_format is FileFormat.CSV:
            writer.writerow({name: _csv_text(value) for name, value in fields.items()})
        else:
            file.write(json.dumps(fields, ensure_ascii=False) + "\n")
    return count


def _csv_text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
