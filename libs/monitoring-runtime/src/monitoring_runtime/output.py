"""`-o`: the same rows as a table for a person, or as JSON, YAML or CSV for a program."""

from __future__ import annotations

import csv
import datetime as dt
import enum
import io
import json
from typing import TYPE_CHECKING, TextIO

import click
import yaml

from monitoring_core.targets.files import csv_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


class Output(enum.StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    HTML = "html"
    PDF = "pdf"


def output_option(*choices: Output) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option `-o`, as the parameter `output`; the first choice is the default."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([str(choice) for choice in choices], case_sensitive=False),
        default=str(choices[0]),
        show_default=True,
        callback=lambda _context, _parameter, name: Output(name),
        help="How to print it.",
    )


def write_rows(
    rows: Iterable[Mapping[str, object]], columns: Sequence[str], output: Output, file: TextIO | None = None
) -> int:
    """Print rows as one list of JSON or YAML, or as CSV with a header, as soon as each is there; returns their number.

    Args:
        columns: the columns of CSV, in order; each row has them all.
        file: where to; None for the standard output.
    """
    count = 0
    begin, end = {Output.JSON: ("[", "]\n"), Output.YAML: ("", ""), Output.CSV: (_csv_line(columns), "")}[output]
    click.echo(begin, nl=False, file=file)
    for count, row in enumerate(rows, start=1):
        if output is Output.CSV:
            text = _csv_line(_plain(csv_value(row[name])) for name in columns)
        elif output is Output.YAML:
            text = yaml.safe_dump([plain(row)], sort_keys=False, allow_unicode=True)
        else:
            text = f"{',' if count > 1 else ''}\n{json.dumps(plain(row), ensure_ascii=False)}"
        click.echo(text, nl=False, file=file)
    if output is Output.YAML and not count:
        end = "[]\n"
    click.echo(f"\n{end}" if output is Output.JSON and count else end, nl=False, file=file)
    return count


def plain(row: Mapping[str, object]) -> dict[str, object]:
    """A row as JSON can hold it: moments in ISO 8601, durations in seconds."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: object) -> object:
    match value:
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat()
        case dt.timedelta():
            return round(value.total_seconds(), 3)
        case enum.Enum():
            return str(value)
    return value


def _csv_line(values: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
