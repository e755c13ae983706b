"""`dbadmin register-schemas`: the schemas of the messages, in a schema registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbadmin.commands.printing import print_lines
from dbadmin.install.registry import register_schemas
from monitoring_runtime.commands import config_options
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(
    "register-schemas",
    epilog=examples(
        "dbadmin register-schemas",
        "dbadmin register-schemas --set kafka.schema_registry_url=https://r:8081",
    ),
)
@config_options
def register_schemas_command(config: Config) -> None:
    """Register the schemas of results and of alerts in the registry kafka.schema_registry_url. May be repeated."""
    print_lines(register_schemas(config.kafka))
