"""`dbadmin setup`: everything that an installation needs, in one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbadmin.commands.printing import print_lines, tell
from monitoring_core.errors import OutageError
from monitoring_runtime.commands import Duration, config_options_of_the_owner
from monitoring_runtime.groups import examples
from monitoring_runtime.retry import attempts

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(
    "setup",
    epilog=examples(
        "dbadmin setup --config config.yaml",
        "dbadmin setup --wait 60s                where servers may still be starting",
    ),
)
@click.option("--wait", type=Duration(), default="0s", help="Wait this long for servers that are away, like 60s.")
@config_options_of_the_owner
def setup_command(config: Config, wait: float) -> None:
    """Make the database if it is missing, the accounts, the schema and the topics, in that order. May be repeated."""
    # Imported late: it loads Alembic and SQLAlchemy for half a second, which most commands do not need.
    from dbadmin.install.setup import set_up

    for attempt in attempts(OutageError, wait):
        with attempt:
            print_lines(set_up(config, tell))
