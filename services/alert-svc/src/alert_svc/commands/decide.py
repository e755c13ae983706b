"""`alert-svc decide`: results on standard input, transitions on standard output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from alert_svc.commands.options import policies_option
from monitoring_alerting.decider import Decider
from monitoring_alerting.policies import load_policies
from monitoring_alerting.targets import Watched
from monitoring_core.clock import to_ms
from monitoring_core.codec import MAX_MESSAGE_BYTES, decode
from monitoring_core.config import parse_duration
from monitoring_core.errors import DecodeError, StopError
from monitoring_core.result_lines import to_line
from monitoring_core.targets import MAX_INTERVAL_S, MIN_INTERVAL_S
from monitoring_core.targets.files import FileFormat, read_targets
from monitoring_runtime.commands import Moment
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from monitoring_alerting.transition import Transition
    from monitoring_core.result import CheckResult

_MAX_SHOWN = 100


class Interval(click.ParamType[int]):
    """A duration like 60s: whole seconds within the bounds of a check interval."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The interval in seconds."""
        try:
            seconds = parse_duration(str(value)).total_seconds()
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds % 1 or not MIN_INTERVAL_S <= seconds <= MAX_INTERVAL_S:
            self.fail(f"must be whole seconds from {MIN_INTERVAL_S}s to {MAX_INTERVAL_S}s, got {value}", param, ctx)
        return int(seconds)


@click.command(
    epilog=examples(
        "alert-svc decide --targets websites.csv < results.jsonl",
        "alert-svc decide --targets websites.csv --until 2026-11-24T10:00Z",
    )
)
@policies_option
@click.option(
    "--targets",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    metavar="FILE",
    help="An export of dbadmin: JSON Lines, or CSV when the name ends with .csv.",
)
@click.option("--until", type=Moment(), metavar="MOMENT", help="Let the clock run on after the last result.")
@click.option(
    "--check-interval",
    type=Interval(),
    default="60s",
    show_default=True,
    metavar="DURATION",
    help="Of targets that state none.",
)
def decide(policies: Path, targets: Path, until: dt.datetime | None, check_interval: int) -> None:
    """Decide about results, as JSON Lines of the topic's format on standard input, in the order of arrival.

    Each transition is printed as a line of JSON. What late results would have changed is told on standard error. Lines
    that are no result are told there too, and the status is then 1.
    """
    decider = Decider(load_policies(policies), list(_watched(targets, check_interval)))
    results = Results(sys.stdin.buffer)
    for result in results:
        _print(decider.take(result))
        for note in decider.notes():
            click.echo(to_line(note), err=True)
    if until:
        _print(decider.advance(to_ms(until)))
    _print(decider.finish())
    if decider.unknown:
        click.echo(f"results of no active target of {targets}: {decider.unknown}", err=True)
    if decider.ahead:
        click.echo(f"results ahead of the clock of the others, which do not count: {decider.ahead}", err=True)
    if results.bad:
        click.echo(f"lines that are no results: {results.bad}", err=True)
        sys.exit(1)


class Results:
    """The results of a file of JSON Lines. The first bad lines are told.

    Attributes:
        bad: how many lines were no results.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.bad = 0

    def __iter__(self) -> Iterator[CheckResult]:
        number = 0
        while line := self._file.readline(MAX_MESSAGE_BYTES + 2):
            number += 1
            if not line.strip():
                continue
            try:
                yield decode(line.rstrip(b"\r\n"))
            except DecodeError as error:
                self.bad += 1
                if self.bad <= _MAX_SHOWN:
                    click.echo(f"-:{number}: {error}", err=True)


def _watched(path: Path, check_interval_s: int) -> Iterator[Watched]:
    with path.open("rb") as file:
        for line in read_targets(file, FileFormat.CSV if path.suffix.lower() == ".csv" else FileFormat.JSONL):
            if line.record is None:
                raise StopError(f"{path}:{line.number}: {'; '.join(line.problems)}")
            if watched := Watched.of(line.record, check_interval_s):
                yield watched


def _print(transitions: Iterable[Transition]) -> None:
    for transition in transitions:
        click.echo(to_line(transition))
