"""The command line of dbadmin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import stamina

from dbadmin import __version__
from dbadmin.commands.doctor import doctor_command
from dbadmin.commands.maintain import maintain_command
from dbadmin.commands.options import Duration
from dbadmin.commands.plan import plan_command, producer_count
from dbadmin.commands.roles import create_roles_command
from dbadmin.commands.schema import create_schema, downgrade_schema
from dbadmin.commands.targets import targets_group
from dbadmin.install import topics
from dbadmin.kubernetes_secrets import KubernetesSecrets
from monitoring_core.config import Role
from monitoring_core.errors import OutageError
from monitoring_runtime.commands import MonitoringGroup, check_config, config_options, config_options_of_the_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import Config


@click.group(cls=MonitoringGroup, role=Role.ADMINISTRATOR, kubernetes=KubernetesSecrets())
@click.version_option(__version__, prog_name="dbadmin")
def main() -> None:
    """Set up and look after the database and the topics."""


@main.command("create-topics")
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Of the results' topic. [default: kafka.partitions]")
@click.option("--replication-factor", type=click.IntRange(1, 15), help="[default: kafka.replication_factor]")
@config_options
def create_topics(config: Config, partitions: int | None, replication_factor: int | None) -> None:
    """Make the topics that are missing; raise the partition count where it is lower. It is never lowered."""
    kafka = config.kafka
    _say(topics.create_topics(kafka, partitions or kafka.partitions, replication_factor or kafka.replication_factor))


@main.command("setup")
@click.option("--wait", type=Duration(), default="0s", help="Wait this long for servers that are away, like 60s.")
@config_options_of_the_owner
def set_up(config: Config, wait: float) -> None:
    """Make the database if it is missing, the accounts, the schema and the topics, in that order. May be repeated."""
    from dbadmin.install import setup  # loads Alembic and SQLAlchemy, half a second that other commands need not wait

    for attempt in stamina.retry_context(on=OutageError, attempts=None if wait else 1, timeout=wait or None):
        with attempt:
            _say(setup.set_up(config))


main.add_command(producer_count)
main.add_command(plan_command)
main.add_command(create_schema)
main.add_command(downgrade_schema)
main.add_command(create_roles_command)
main.add_command(targets_group)
main.add_command(doctor_command)
main.add_command(check_config)
main.add_command(maintain_command)


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        click.echo(line)
