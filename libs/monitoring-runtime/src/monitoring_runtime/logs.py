"""The log: structured, to standard error, as JSON for machines or as lines for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import structlog

from monitoring_core.config.logging import LogFormat

if TYPE_CHECKING:
    from structlog.typing import Processor

    from monitoring_core.config import LoggingConfig


def configure_logging(config: LoggingConfig, service: str) -> None:
    """Set up structlog for this process; every line has the name of the service."""
    console = config.format is LogFormat.CONSOLE or (config.format is LogFormat.AUTO and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=shared + final,
        wrapper_class=structlog.make_filtering_bound_logger(str(config.level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(service=service)
