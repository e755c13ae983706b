"""`status-svc export DIR`: the public page as files, for any web server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitoring_runtime.commands import config_options, counted
from monitoring_runtime.groups import examples
from status_svc import wiring

if TYPE_CHECKING:
    from monitoring_core.config import Config


@click.command(epilog=examples("status-svc export /var/www/status", "status-svc export site --config config.yaml"))
@click.argument("directory", type=click.Path(path_type=Path))
@config_options
def export(config: Config, directory: Path) -> None:
    """Write the public page as files to DIRECTORY, all in one step.

    DIRECTORY is made as a symbolic link; it must not be there, or come from an earlier export. Links of the feed begin
    with status.public_url.
    """
    count = wiring.export_once(config, directory)
    click.echo(f"{counted(count, 'file')} written to {directory}")
