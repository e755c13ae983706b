"""`dbadmin targets plan` and `apply`: the targets of an owner, as files or a cluster declare them."""

from __future__ import annotations

import datetime as dt
import functools
import sys
from typing import TYPE_CHECKING, Any

import attrs
import click

from dbadmin.commands.progress import doing
from dbadmin.commands.targets.differences import as_json, lines, printable, summary
from dbadmin.kubernetes_api import KubernetesApi
from dbadmin.targets.applying import apply_targets, plan_targets
from dbadmin.targets.cluster.listing import Cluster
from dbadmin.targets.cluster.source import Terms, read_cluster
from dbadmin.targets.declared_files import MAX_REPORTED, STANDARD_INPUT, read_declaration
from dbadmin.targets.ownership import owner_problem
from dbadmin.targets.plans import FEW, Action, Way
from monitoring_core.errors import StopError
from monitoring_runtime.commands import Duration, config_options, counted
from monitoring_runtime.groups import examples
from monitoring_runtime.output import Output, output_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbadmin.targets.declared import Declaration
    from dbadmin.targets.plans import Plan
    from monitoring_core.config import Config

_SOURCE = "kubernetes"
_GRACE_S = 600
# What terraform's plan ends with when something is to change.
_CHANGES = 2


@attrs.frozen(kw_only=True)
class Asked:
    """What the options of both commands say."""

    files: tuple[str, ...]
    source: str | None
    context: str | None
    namespaces: tuple[str, ...]
    grace: float | None
    opt_in: bool
    owner: str | None
    adopt: bool
    remove: bool
    max_gone: int

    def way(self) -> Way:
        """How targets are made as declared."""
        return Way(adopt=self.adopt, remove=self.remove)

    def declaration(self) -> Declaration:
        """What the source declares.

        Raises:
            click.UsageError: the options name no source.
            StopError: the source cannot be read, or is wrong.
        """
        if self.source and self.files:
            raise click.UsageError("-f and --from are two sources: give one of them")
        if self.source:
            return self._of_cluster()
        if self.context or self.namespaces or self.grace is not None or self.opt_in:
            raise click.UsageError("--context, --namespace, --grace and --opt-in need --from kubernetes")
        if not self.files:
            raise click.UsageError("nothing to read: name a file, like -f targets.yaml, or --from kubernetes")
        return read_declaration(self.files, self.owner)

    def _of_cluster(self) -> Declaration:
        if self.namespaces and not self.owner:
            # Two commands with different namespaces would each let the targets of the other go.
            raise click.UsageError("--namespace needs --owner: whose the targets of these namespaces are")
        grace = dt.timedelta(seconds=_GRACE_S if self.grace is None else self.grace)
        cluster = Cluster(KubernetesApi(self.context), self.namespaces)
        return read_cluster(cluster, self.owner or _SOURCE, Terms(grace, self.opt_in), dt.datetime.now(dt.UTC))


def _owner(_context: click.Context, _parameter: click.Parameter, owner: str | None) -> str | None:
    if owner is not None and (problem := owner_problem(owner)):
        raise click.BadParameter(problem)
    return owner


_OPTIONS = (
    click.option(
        "-f",
        "--file",
        "files",
        multiple=True,
        metavar="FILE",
        help="A file of targets in YAML, a folder of such files, or - for standard input. Repeatable.",
    ),
    click.option(
        "--from",
        "source",
        type=click.Choice([_SOURCE]),
        help="Read the Ingresses and HTTPRoutes of a cluster in place of files.",
    ),
    click.option("--context", metavar="NAME", help="A context of the kubeconfig. [default: the current one]"),
    click.option("--namespace", "namespaces", multiple=True, metavar="NAME", help="Only this one. Repeatable."),
    click.option(
        "--grace",
        type=Duration(),
        metavar="DURATION",
        help="What is younger in the cluster is not added yet. [default: 10m]",
    ),
    click.option("--opt-in", is_flag=True, help="Only what has the annotation availability-monitor/watch: true."),
    click.option(
        "--owner",
        callback=_owner,
        metavar="NAME",
        help="Whose targets these are. [default: as the file says, or kubernetes]",
    ),
    click.option("--adopt", is_flag=True, help="Take over targets of these URLs that belong to nobody."),
    click.option("--remove", is_flag=True, help="Remove what is no longer declared, in place of deactivating it."),
    click.option(
        "--max-gone",
        type=click.IntRange(0, 100),
        default=25,
        show_default=True,
        metavar="PERCENT",
        help=f"Refuse to let more of the owner's targets go; {FEW} may always, if they are not all.",
    ),
    output_option(Output.TABLE, Output.JSON),
)


def _declaring(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of both commands, and pass most of them as `asked`."""

    @functools.wraps(command)
    def with_asked(**values: Any) -> None:
        asked = Asked(**{name: values.pop(name) for name in attrs.fields_dict(Asked)})
        command(asked=asked, **values)

    for option in reversed(_OPTIONS):
        with_asked = option(with_asked)
    return with_asked


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
@_declaring
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
@_declaring
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
    """Why a plan is not carried out, or None."""
    if plan.conflicts and declaration.whole:
        urls = counted(len(plan.conflicts), "URL")
        return f"{urls} {'is that' if len(plan.conflicts) == 1 else 'are those'} of other targets"
    if plan.goes_too_far(asked.max_gone):
        gone = plan.count(Action.DEACTIVATE, Action.REMOVE)
        return f"{gone:,} of {counted(plan.present, 'target')} would go, and --max-gone is {asked.max_gone}"
    return None
