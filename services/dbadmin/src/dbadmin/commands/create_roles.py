"""`dbadmin create-roles`: the accounts of the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbadmin.commands.printing import print_lines, tell
from dbadmin.install.roles import create_roles
from monitoring_runtime.commands import config_options_of_the_owner
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(
    "create-roles", epilog=examples("dbadmin create-roles", "dbadmin create-roles --set roles.reader_user=grafana")
)
@config_options_of_the_owner
def create_roles_command(config: Config) -> None:
    """Make the accounts of the section `roles` with exactly the rights that each needs. May be repeated.

    Connects as database.user, which needs CREATEROLE. Passwords are set to what the configuration says now.
    """
    print_lines(create_roles(config, tell))
