"""The command line of dbadmin, which puts the commands together."""

from __future__ import annotations

import click

from dbadmin import __version__
from dbadmin.commands.create_roles import create_roles_command
from dbadmin.commands.create_schema import create_schema_command
from dbadmin.commands.create_topics import create_topics_command
from dbadmin.commands.doctor import doctor_command
from dbadmin.commands.downgrade_schema import downgrade_schema_command
from dbadmin.commands.locations import locations_group
from dbadmin.commands.maintain import maintain_command
from dbadmin.commands.plan import plan_command
from dbadmin.commands.producer_count import producer_count_command
from dbadmin.commands.setup import setup_command
from dbadmin.commands.targets.group import targets_group
from dbadmin.kubernetes_secrets import KubernetesSecrets
from monitoring_core.config import Role
from monitoring_runtime.commands import MonitoringGroup, check_config


@click.group(cls=MonitoringGroup, role=Role.ADMINISTRATOR, kubernetes=KubernetesSecrets())
@click.version_option(__version__, prog_name="dbadmin")
def main() -> None:
    """Set up and look after the database and the topics."""


for command in (
    setup_command,
    create_roles_command,
    create_schema_command,
    downgrade_schema_command,
    create_topics_command,
    targets_group,
    locations_group,
    producer_count_command,
    plan_command,
    doctor_command,
    maintain_command,
    check_config,
):
    main.add_command(command)
