"""`dbadmin report`: how available websites were in a month, and how much of that is known."""

from __future__ import annotations

import io
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click
from rich.table import Table
from rich.text import Text

from dbadmin.reports.documents import html, minutes, pdf, percent, shown
from dbadmin.reports.figures import Figures
from dbadmin.reports.making import make_report
from dbadmin.reports.model import Line, Question
from monitoring_core.result import one_line
from monitoring_runtime.commands import config_options, counted, label_option
from monitoring_runtime.groups import examples
from monitoring_runtime.output import Output, output_option, plain, write_rows
from monitoring_runtime.tables import print_table
from monitoring_runtime.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbadmin.reports.model import Report
    from monitoring_core.config import Config

_FIGURES = tuple(attrs.fields_dict(Figures))
_TARGET = tuple(name for name in attrs.fields_dict(Line) if name not in ("all", "outside"))
_COLUMNS = (*_TARGET, *_FIGURES, *(f"outside_{name}" for name in _FIGURES))


@click.command(
    "report",
    epilog=examples(
        "dbadmin report --month 2026-10",
        "dbadmin report --month 2026-10 --label team=shop --timezone Europe/Berlin",
        "dbadmin report --month 2026-10 -o pdf --to 2026-10.pdf",
        "dbadmin report --month 2026-10 -o json | jq .summary",
    ),
)
@click.option("--month", required=True, metavar="YYYY-MM", help="The month, like 2026-10.")
@click.option(
    "--timezone", default="UTC", show_default=True, metavar="NAME", help="Where the month is, like Europe/Berlin."
)
@label_option()
@click.option("--location", metavar="NAME", help="Only as seen from this location.")
@click.option(
    "--objective",
    default="99.9",
    show_default=True,
    metavar="PERCENT",
    help="How much of the known time a website should be up.",
)
@click.option(
    "--to",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it into a file, as a whole or not at all. [default: print it]",
)
@output_option(Output.TABLE, Output.CSV, Output.HTML, Output.JSON, Output.PDF)
@config_options
def report_command(
    config: Config,
    month: str,
    timezone: str,
    labels: dict[str, str],
    location: str | None,
    objective: str,
    path: Path | None,
    output: Output,
) -> None:
    """How available websites were in a month, and how much of that is known.

    Each target has its availability, coverage, downtime, incidents and what is left of its error budget: of all the
    time that it was due, and of the time outside of maintenance windows. The same rows give the same bytes. A month
    that is not over is told as far as its hours are rolled up.
    """
    if path is None and output is Output.PDF and sys.stdout.isatty():
        raise click.UsageError("-o pdf needs --to FILE, or a pipe")
    if path is not None and output is Output.TABLE:
        raise click.UsageError("--to needs -o csv, html, json or pdf")
    question = Question(month, timezone, _objective(objective), labels, location)
    try:
        report = make_report(config.database, question)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for number, why in report.faulty_windows.items():
        click.echo(f"maintenance window {number} is left out: {why}", err=True)
    if output is Output.TABLE:
        _print(report)
    else:
        _write(_DOCUMENTS[output](report), path)


def _objective(text: str) -> Fraction:
    try:
        objective = Fraction(text)
    except (ValueError, ZeroDivisionError):
        objective = Fraction(0)
    if not 0 < objective <= 100 or len(text) > 20 or "/" in text:
        raise click.UsageError(f"--objective: {text!r} is no percentage like 99.9")
    return objective


def _print(report: Report) -> None:
    table = Table("website", box=None, header_style="bold")
    for name in ("availability", "coverage", "down", "incidents", "MTTR", "longest", "budget left"):
        table.add_column(name, justify="right")
    for line in report.lines:
        table.add_row(Text(one_line(line.url)), *_cells(line.all))
        if line.all != line.outside:
            table.add_row(Text("  outside of maintenance", "dim"), *_cells(line.outside))
    table.add_section()
    table.add_row(Text("all websites", "bold"), *_cells(report.summary.all))
    table.add_row(Text("  outside of maintenance", "dim"), *_cells(report.summary.outside))
    print_table(table)
    zone = report.question.timezone
    summary = report.summary
    click.echo(
        f"{report.question.month} from {shown(report.begin, zone)} until {shown(report.until, zone)} {zone}, times in "
        f"minutes; {counted(summary.targets, 'website')}: {summary.met} met {float(report.question.objective):g} % "
        f"outside of maintenance, {summary.missed} missed it, of {summary.not_known} nothing is known",
        err=True,
    )
    if report.inexact_hours:
        click.echo(
            f"{counted(report.inexact_hours, 'hour')} counted as a whole: their single results are gone", err=True
        )


def _cells(figures: Figures) -> list[str]:
    return [
        percent(figures.availability),
        percent(figures.coverage),
        minutes(figures.downtime_minutes),
        str(figures.incidents),
        minutes(figures.mttr_minutes),
        minutes(figures.longest_minutes),
        minutes(figures.budget_left_minutes),
    ]


def _json(report: Report) -> bytes:
    question = report.question
    document = {
        "month": question.month,
        "timezone": question.timezone,
        "begin": report.begin,
        "end": report.end,
        "until": report.until,
        "objective": float(question.objective),
        "labels": dict(question.labels),
        "location": question.location,
        "inexact_hours": report.inexact_hours,
        "faulty_windows": [
            {"window_id": number, "problem": problem} for number, problem in report.faulty_windows.items()
        ],
    }
    summary = attrs.asdict(report.summary)
    targets = [plain(attrs.asdict(line)) for line in report.lines]
    text = json.dumps(plain(document) | {"summary": summary, "targets": targets}, ensure_ascii=False, indent=1)
    return f"{text}\n".encode()


def _csv(report: Report) -> bytes:
    text = io.StringIO()
    write_rows(map(_row, report.lines), _COLUMNS, Output.CSV, text)
    return text.getvalue().encode()


def _row(line: Line) -> dict[str, Any]:
    row = {name: getattr(line, name) for name in _TARGET}
    outside = {f"outside_{name}": value for name, value in attrs.asdict(line.outside).items()}
    return row | attrs.asdict(line.all) | outside


_DOCUMENTS: dict[Output, Callable[[Report], bytes]] = {
    Output.JSON: _json,
    Output.CSV: _csv,
    Output.HTML: lambda report: html(report).encode(),
    Output.PDF: pdf,
}


def _write(content: bytes, path: Path | None) -> None:
    if path is None:
        click.echo(content, nl=False)
        return
    with whole_file(path) as file:
        file.buffer.write(content)
