"""`dbadmin doctor`: what is wrong, and what mends it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import attrs
import click
from rich.console import Console
from rich.text import Text

from dbadmin.doctor.findings import Level
from monitoring_core.clock import SystemClock
from monitoring_runtime.commands import Duration, config_options_of_the_owner
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config

_STYLES = {Level.PASS: "", Level.WARN: "yellow", Level.FAIL: "bold red"}


@click.command("doctor", epilog=examples("dbadmin doctor", "dbadmin doctor --json --timeout 30s"))
@click.option("--json", "as_json", is_flag=True, help="Print each finding as one JSON object a line.")
@click.option(
    "--timeout", type=Duration(), default="60s", show_default=True, help="The time for the whole examination."
)
@config_options_of_the_owner
def doctor_command(config: Config, as_json: bool, timeout: float) -> None:
    """Connect as each account and look at all that the set-up needs; say what is wrong and what mends it.

    To learn the clock of Kafka it makes a topic, <topic_name>.doctor-…, and deletes it. Status 1 when anything fails;
    a warning is for later.
    """
    from dbadmin.doctor.examine import examine  # imported late, as in `setup`

    console, levels = Console(soft_wrap=True), Counter[Level]()
    for finding in examine(config, SystemClock(), timeout):
        levels[finding.level] += 1
        if as_json:
            click.echo(json.dumps(attrs.asdict(finding), ensure_ascii=False))
        else:
            console.print(Text(str(finding), _STYLES[finding.level]))
    if not as_json:
        click.echo(f"{levels[Level.PASS]} pass, {levels[Level.WARN]} warn, {levels[Level.FAIL]} fail", err=True)
    if levels[Level.FAIL]:
        raise click.exceptions.Exit(1)
