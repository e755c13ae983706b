"""The options of `dbadmin targets plan` and `apply`, and what the source declares that they name."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any

import attrs
import click

from dbadmin.kubernetes_api import KubernetesApi
from dbadmin.targets.cluster.listing import Cluster
from dbadmin.targets.cluster.source import Terms, read_cluster
from dbadmin.targets.declared_files import read_declaration
from monitoring_core.declared.ownership import owner_problem
from monitoring_core.declared.plans import FEW, Way
from monitoring_runtime.commands import Duration
from monitoring_runtime.output import Output, output_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring_core.declared.declaration import Declaration

_SOURCE = "kubernetes"
_GRACE_S = 600


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


def declaring_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of both commands, and pass most of them as `asked`."""

    @functools.wraps(command)
    def with_asked(**values: Any) -> None:
        asked = Asked(**{name: values.pop(name) for name in attrs.fields_dict(Asked)})
        command(asked=asked, **values)

    for option in reversed(_OPTIONS):
        with_asked = option(with_asked)
    return with_asked
