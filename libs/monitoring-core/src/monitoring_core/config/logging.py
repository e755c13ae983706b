"""Section `logging`: the level and the format of a service's log."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config.faults import Rule


class LogLevel(enum.StrEnum):
    """The least severe level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """`auto` is `console` on a terminal and `json` elsewhere."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


@attrs.frozen(kw_only=True)
class LoggingConfig:
    """Settings of the log, which goes to standard error."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.AUTO

    def broken_rules(self) -> Iterator[Rule]:
        """None: no rule connects these settings."""
        yield from ()
