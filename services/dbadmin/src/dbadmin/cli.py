"""The command line of dbadmin: where each command is, in the order in which they are listed."""

from __future__ import annotations

import click

from dbadmin import __version__
from dbadmin.kubernetes_secrets import KubernetesSecrets
from monitoring_runtime.groups import MonitoringGroup, examples

COMMANDS = {
    "setup": "dbadmin.commands.setup:setup_command",
    "create-roles": "dbadmin.commands.create_roles:create_roles_command",
    "create-schema": "dbadmin.commands.create_schema:create_schema_command",
    "downgrade-schema": "dbadmin.commands.downgrade_schema:downgrade_schema_command",
    "create-topics": "dbadmin.commands.create_topics:create_topics_command",
    "register-schemas": "dbadmin.commands.register_schemas:register_schemas_command",
    "status": "dbadmin.commands.status:status_command",
    "report": "dbadmin.commands.report:report_command",
    "targets": "dbadmin.commands.targets.group:targets_group",
    "maintenance": "dbadmin.commands.maintenance:maintenance_group",
    "tokens": "dbadmin.commands.tokens:tokens_group",
    "logins": "dbadmin.commands.logins:logins_group",
    "locations": "dbadmin.commands.locations:locations_group",
    "producer-count": "dbadmin.commands.producer_count:producer_count_command",
    "plan": "dbadmin.commands.plan:plan_command",
    "doctor": "dbadmin.commands.doctor:doctor_command",
    "maintain": "dbadmin.commands.maintain:maintain_command",
    "check-config": "monitoring_runtime.commands:check_config",
    "config": "dbadmin.commands.config.group:config_group",
}


@click.group(
    cls=MonitoringGroup,
    lazy=COMMANDS,
    role="administrator",
    kubernetes=KubernetesSecrets(),
    epilog=examples(
        "dbadmin config init config.yaml      begin a configuration",
        "dbadmin setup                        database, accounts, schema, topics",
        "dbadmin targets add https://example.org",
        "dbadmin status --down                what is down now",
        "dbadmin doctor                       what is wrong, and what mends it",
    ),
)
@click.version_option(__version__, prog_name="dbadmin")
def main() -> None:
    """Set up and look after the database and the topics."""
