"""`dbadmin create-topics`: the topics alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbadmin.commands.printing import print_lines
from dbadmin.install.topics import create_topics
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(
    "create-topics",
    epilog=examples("dbadmin create-topics", "dbadmin create-topics --partitions 12 --replication-factor 3"),
)
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Of the results' topic. [default: kafka.partitions]")
@click.option("--replication-factor", type=click.IntRange(1, 15), help="[default: kafka.replication_factor]")
@config_options
def create_topics_command(config: Config, partitions: int | None, replication_factor: int | None) -> None:
    """Make the topics that are missing; raise the partition count where it is lower. It is never lowered."""
    kafka = config.kafka
    factor = replication_factor or kafka.replication_factor
    print_lines(create_topics(kafka, partitions or kafka.partitions, factor))
