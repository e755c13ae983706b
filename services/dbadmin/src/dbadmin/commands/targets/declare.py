"""`dbadmin targets plan` and `apply`: the targets of an owner, as files or a cluster declare them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dbadmin.commands.progress import doing
from dbadmin.commands.targets.declaring import declaring_options
from dbadmin.commands.targets.differences import as_json, lines, printable, summary
from dbadmin.targets.applying import apply_targets, plan_targets
from dbadmin.targets.declared_files import STANDARD_INPUT
from monitoring_core.declared.items import MAX_REPORTED
from monitoring_core.errors import StopError
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples
from monitoring_runtime.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbadmin.commands.targets.declaring import Asked
    from monitoring_core.config import Config
    from monitoring_core.declared.declaration import Declaration
    from monitoring_core.declared.plans import Plan

# What terraform's plan ends with when something is to change.
_CHANGES = 2


@click.command(
    "plan",
    epilog=examples(
        "dbadmin targets plan -f targets.yaml",
        "dbadmin targets plan -f targets --owner shop --detailed-exitcode",
        "dbadmin targets plan -f - -o json < targets.yaml",
        "dbadmin targets plan --from kubernetes",
    ),
)
@click.option("--detailed-exitcode", is_flag=True, help="Status 2 when something is to change; 1 is an error.")
@declaring_options
@config_options
def plan(config: Config, asked: Asked, detailed_exitcode: bool, output: Output) -> None:
    """Show what `apply` would change, and change nothing.

    A + is a target to add, a ~ one to change, and a - one that is no longer declared: it is deactivated, and its
    results stay. A ! is a URL that is taken. Targets of other owners, and of nobody, are left alone.
    """
    with doing("reading what is declared"):
        declaration = asked.declaration()
    with doing("comparing it with what there is"):
        found = plan_targets(config.database, declaration, asked.way())
    if output is Output.JSON:
        click.echo(as_json(found, done=False))
    else:
        _show(found, done=False)
    if problem := _refusal(declaration, found, asked):
        click.echo(f"apply would refuse this: {problem}", err=True)
    _tell(declaration)
    sys.exit(1 if declaration.faults else _CHANGES if detailed_exitcode and found.changes else 0)


@click.command(
    "apply",
    epilog=examples(
        "dbadmin targets apply -f targets.yaml",
        "dbadmin targets apply -f targets --owner shop --yes",
        "dbadmin targets apply -f targets.yaml --adopt",
        "dbadmin targets apply --from kubernetes --grace 10m --yes",
    ),
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@declaring_options
@config_options
def apply(config: Config, asked: Asked, yes: bool, output: Output) -> None:
    """Make the targets of an owner as they are declared, after a question; all of them or none.

    It shows what `plan` shows. A second one changes nothing. Producers take changes up within
    monitor.refresh_interval.
    """
    if not yes and (STANDARD_INPUT in asked.files or not sys.stdin.isatty()):
        raise click.UsageError("nobody can be asked here: --yes changes targets without a question")
    with doing("reading what is declared"):
        declaration = asked.declaration()
    with doing("comparing it with what there is"):
        found = plan_targets(config.database, declaration, asked.way())
    _tell(declaration)
    problem = _refusal(declaration, found, asked)
    if problem or (found.changes and not yes):
        _show(found, done=False, aside=bool(problem) or output is Output.JSON)
    if problem:
        raise StopError(f"{problem}: nothing was changed")
    if found.changes:
        if not yes:
            click.confirm("Do this?", abort=True, err=True)
        accepted = _accepting(declaration, found, asked, yes)
        with doing("changing targets, as soon as nobody else does"):
            found = apply_targets(config.database, declaration, asked.way(), accepted)
    if output is Output.JSON:
        click.echo(as_json(found, done=True))
    elif yes:
        _show(found, done=True)
    else:
        click.echo(summary(found, done=True))
    sys.exit(1 if declaration.faults else 0)


def _accepting(declaration: Declaration, seen: Plan, asked: Asked, yes: bool) -> Callable[[Plan], None]:
    """Refuses to carry out what may not be done, and what a person has not agreed to."""

    def accepted(plan: Plan) -> None:
        if problem := _refusal(declaration, plan, asked):
            raise StopError(f"{problem}: nothing was changed")
        if not yes and plan != seen:
            raise StopError("somebody else changed targets meanwhile: nothing was changed, run it again")

    return accepted


def _show(plan: Plan, done: bool, aside: bool = False) -> None:
    for line in lines(plan):
        click.echo(line, err=aside)
    click.echo(summary(plan, done), err=aside)


def _tell(declaration: Declaration) -> None:
    """What a person should know of the source, and what is wrong with it, as far as anybody reads it."""
    for found in (declaration.remarks, declaration.faults):
        for line in found[:MAX_REPORTED]:
            click.echo(printable(line), err=True)
        if len(found) > MAX_REPORTED:
            click.echo(f"and {len(found) - MAX_REPORTED:,} more", err=True)


def _refusal(declaration: Declaration, plan: Plan, asked: Asked) -> str | None:
    return plan.refusal(asked.max_gone, "{} would go, and --max-gone is {}", whole=declaration.whole)
