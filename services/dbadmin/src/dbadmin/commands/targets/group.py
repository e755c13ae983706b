"""`dbadmin targets`: the websites to check, in files and in the database."""

from __future__ import annotations

import click

from monitoring_runtime.groups import LazyGroup, examples

_HERE = "dbadmin.commands.targets"
COMMANDS = {
    "list": f"{_HERE}.show:list_targets",
    "show": f"{_HERE}.show:show_targets",
    "add": f"{_HERE}.add:add_target",
    "set": f"{_HERE}.change:set_targets",
    "remove": f"{_HERE}.change:remove_targets",
    "activate": f"{_HERE}.switch:activate",
    "deactivate": f"{_HERE}.switch:deactivate",
    "test": f"{_HERE}.check:check_targets",
    "history": f"{_HERE}.history:show_history",
    "plan": f"{_HERE}.declare:plan",
    "apply": f"{_HERE}.declare:apply",
    "import": f"{_HERE}.import_file:import_targets",
    "export": f"{_HERE}.export_file:export_targets",
}


@click.group(
    "targets",
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog=examples(
        "dbadmin targets import websites.csv --dry-run",
        "dbadmin targets apply -f targets.yaml",
        "dbadmin targets add https://example.org --interval 30s",
        "dbadmin targets list --label team=shop",
    ),
)
def targets_group() -> None:
    """The websites to check."""
