"""The whole application on rows that a test makes up, behind a real port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import attrs
import uvicorn

from monitoring_core.clock import SystemClock
from status_svc.app import create_app
from status_svc.context import Context
from status_svc.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from database_rows import Rows

    from monitoring_core.clock import Clock
    from monitoring_core.config import StatusConfig


@attrs.frozen
class Site:
    """A running service: its address, which ends with a slash, and the rows that it shows."""

    address: str
    rows: Rows


@contextlib.contextmanager
def served(rows: Rows, settings: StatusConfig, clock: Clock | None = None) -> Iterator[Site]:
    """Serve rows, with what every answer says to browsers; the pages tell the time by `clock`."""
    app = create_app(Context(settings, rows, Metrics(), clock=clock or SystemClock()))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}/", rows)
    finally:
        server.should_exit = True
        thread.join(10)
