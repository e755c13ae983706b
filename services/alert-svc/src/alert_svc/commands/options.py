"""The options that commands share."""

from __future__ import annotations

from pathlib import Path

import click

policies_option = click.option(
    "--policies",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="MONITORING_POLICIES",
    default=Path("/etc/monitoring/alerts.yaml"),
    metavar="FILE",
    help="The alert policies. [default: $MONITORING_POLICIES, else /etc/monitoring/alerts.yaml]",
)
