"""What all command lines share: the options for the configuration, and the exit status of every error."""

from __future__ import annotations

import functools
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from monitoring_core.config import CONFIG_VARIABLE, DEFAULT_PATH, Config, ConfigError, Role, load_config
from monitoring_core.errors import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEBUG_VARIABLE = "MONITORING_DEBUG"


class MonitoringGroup(click.Group):
    """A command group that ends with one plain line for every error: 2 wrong usage or configuration, 1 anything else.

    With MONITORING_DEBUG set in the environment an unexpected error shows its traceback.

    Attributes:
        role: the role that its commands have in PostgreSQL; None for the user in the section `database`.
        kubernetes: reads secrets from Kubernetes; None in a program that has no client for it.
    """

    def __init__(
        self,
        *args: Any,
        role: Role | None = None,
        kubernetes: Callable[[str, str, str], str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.role = role
        self.kubernetes = kubernetes

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        _end_on_sigterm_in_a_container()
        try:
            super().main(*args, **kwargs)
        except ConfigError as error:
            _end(2, str(error))
        except MonitoringError as error:
            _end(1, str(error))
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (open until exit, so that the flush at exit succeeds)
            sys.exit(1)
        except Exception as error:
            if os.environ.get(DEBUG_VARIABLE):
                raise
            text = " ".join(str(error).split())[:500]
            _end(1, f"internal error: {type(error).__name__}: {text} (set {DEBUG_VARIABLE}=1 for the traceback)")
        raise AssertionError("click ends the process")


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config` and `--set`, and pass the loaded configuration as `config`.

    `config.database` connects as the account of the group's role, when the role has one.
    """
    return _with_config(command, lambda: getattr(click.get_current_context().find_root().command, "role", None))


def config_options_of_the_owner(command: Callable[..., Any]) -> Callable[..., Any]:
    """Like `config_options`, for a command that connects as the user in the section `database`."""
    return _with_config(command, lambda: None)


def _with_config(command: Callable[..., Any], role: Callable[[], Role | None]) -> Callable[..., Any]:
    @click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"Configuration file. [default: ${CONFIG_VARIABLE}, else {DEFAULT_PATH}]",
    )
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="Replace one setting of the file, like database.port=5433. A secret is a reference: "
        "'database.password={file: /run/secrets/password}'. Repeatable.",
    )
    @functools.wraps(command)
    def with_config(*args: Any, config_path: Path | None, settings: Sequence[str], **kwargs: Any) -> Any:
        kubernetes = getattr(click.get_current_context().find_root().command, "kubernetes", None)
        config = load_config(config_path, settings=settings, role=role(), kubernetes=kubernetes)
        return command(*args, config=config, **kwargs)

    return with_config


@click.command("check-config")
@config_options
def check_config(config: Config) -> None:
    """Check the configuration and connect nowhere. Status 2 and one line a fault when it is not valid."""
    click.echo(
        f"The configuration is valid: Kafka {config.kafka.bootstrap_servers}, topic {config.kafka.topic_name}; "
        f"PostgreSQL {config.database.address}, database {config.database.database}, schema {config.database.schema}."
    )


def _end_on_sigterm_in_a_container() -> None:
    """Let SIGTERM end a command: the kernel ignores signals that process 1 does not handle."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def _end(status: int, text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(status)
