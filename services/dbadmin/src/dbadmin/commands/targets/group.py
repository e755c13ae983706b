"""`dbadmin targets`: the websites to check, in files and in the database."""

from __future__ import annotations

import click

from dbadmin.commands.targets.add import add_target
from dbadmin.commands.targets.check import check_targets
from dbadmin.commands.targets.export_file import export_targets
from dbadmin.commands.targets.history import show_history
from dbadmin.commands.targets.import_file import import_targets
from dbadmin.commands.targets.show import list_targets
from dbadmin.commands.targets.switch import activate, deactivate


@click.group("targets")
def targets_group() -> None:
    """The websites to check."""


for command in (
    import_targets,
    add_target,
    activate,
    deactivate,
    check_targets,
    export_targets,
    list_targets,
    show_history,
):
    targets_group.add_command(command)
