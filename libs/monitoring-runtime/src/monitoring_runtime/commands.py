"""What the commands of all programs share: the options for the configuration, and kinds of values."""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitoring_core.config import CONFIG_VARIABLE, DEFAULT_PATH, Config, Role, load_config, parse_duration
from monitoring_core.targets.options import pairs
from monitoring_runtime.groups import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases alone
    """A duration like 60s, in seconds."""

    name = "duration"

    def __init__(self, at_most_s: float | None = None, whole: bool = False) -> None:
        """Args: at_most_s: the longest that is allowed; then zero is not. whole: whole seconds, one at least."""
        self._at_most_s = at_most_s
        self._whole = whole

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds of a text like 60s; anything else is wrong usage."""
        try:
            seconds = parse_duration(str(value)).total_seconds()
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if self._at_most_s is not None and not 0 < seconds <= self._at_most_s:
            self.fail(f"must be more than 0s and at most {self._at_most_s:g}s, got {value}", param, ctx)
        if self._whole and (seconds < 1 or not seconds.is_integer()):
            self.fail(f"must be whole seconds, 1s or more, got {value}", param, ctx)
        return int(seconds) if self._whole else seconds


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases alone
    """A moment like 2026-11-24T10:00:00Z; without an offset it is UTC."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """The moment in UTC."""
        try:
            moment = dt.datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a moment like 2026-11-24T10:00:00Z", param, ctx)
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


class Since(Moment):
    """A moment, or how long ago, like 30d."""

    name = "since"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """The moment in UTC."""
        try:
            return dt.datetime.now(dt.UTC) - parse_duration(str(value))
        except ValueError:
            return super().convert(value, param, ctx)


def label_option(text: str = "Only with this label.") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option `--label`, as the parameter `labels`: the values of all its uses, by name."""
    return click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="NAME=VALUE",
        help=f"{text} Repeatable.",
        callback=lambda _context, _parameter, texts: _labels(texts),
    )


def _labels(texts: Sequence[str]) -> dict[str, str]:
    try:
        return pairs("--label", texts, "=")
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def counted(count: int, thing: str) -> str:
    """A number of things in words: `1 target`, `2,000 targets`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config` and `--set`, and pass the loaded configuration as `config`.

    `config.database` connects as the account of the group's role, when the role has one.
    """
    return _with_config(command, lambda: getattr(click.get_current_context().find_root().command, "role", None))


def config_options_of_the_owner(command: Callable[..., Any]) -> Callable[..., Any]:
    """Like `config_options`, for a command that connects as the user in the section `database`."""
    return _with_config(command, lambda: None)


def config_source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config` and `--set` as `config_path` and `settings`, for a command that loads the configuration itself."""
    command = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="Replace one setting of the file, like database.port=5433. A secret is a reference: "
        "'database.password={file: /run/secrets/password}'. Repeatable.",
    )(command)
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"Configuration file. [default: ${CONFIG_VARIABLE}, else {DEFAULT_PATH}]",
    )(command)


def _with_config(command: Callable[..., Any], role: Callable[[], str | None]) -> Callable[..., Any]:
    @config_source_options
    @functools.wraps(command)
    def with_config(*args: Any, config_path: Path | None, settings: Sequence[str], **kwargs: Any) -> Any:
        kubernetes = getattr(click.get_current_context().find_root().command, "kubernetes", None)
        name = role()
        config = load_config(config_path, settings=settings, role=Role(name) if name else None, kubernetes=kubernetes)
        return command(*args, config=config, **kwargs)

    return with_config


@click.command(
    "check-config",
    epilog=examples(
        "dbadmin check-config --config config.yaml",
        "producer-svc check-config --set monitor.timeout=5s",
        "consumer-svc check-config",
        "status-svc check-config --set status.port=8081",
    ),
)
@config_options
def check_config(config: Config) -> None:
    """Check the configuration and connect nowhere. Status 2 and one line a fault when it is not valid."""
    say_valid(config)


def say_valid(config: Config) -> None:
    """Say that a configuration is valid, and what it is about."""
    click.echo(
        f"The configuration is valid: Kafka {config.kafka.bootstrap_servers}, topic {config.kafka.topic_name}; "
        f"PostgreSQL {config.database.address}, database {config.database.database}, schema {config.database.schema}."
    )
