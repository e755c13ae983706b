"""The whole application on rows that a test makes up, behind a real port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import attrs
import uvicorn
from openid_provider import CLIENT_SECRET

from monitoring_core.clock import SystemClock
from monitoring_core.config import Secret
from status_svc.adapters.openid import OpenIdProvider
from status_svc.app import create_app
from status_svc.connections import Connection
from status_svc.context import Context
from status_svc.login import Login
from status_svc.logouts import Logouts
from status_svc.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from database_rows import Rows

    from monitoring_core.clock import Clock
    from monitoring_core.config import StatusConfig

KEY = "a key that signs cookies in tests"


@attrs.frozen
class Site:
    """A running service: its address, which ends with a slash, the rows that it shows, and its metrics."""

    address: str
    rows: Rows
    metrics: Metrics


@contextlib.contextmanager
def served(rows: Rows, settings: StatusConfig, clock: Clock | None = None) -> Iterator[Site]:
    """Serve rows, with what every answer says to browsers; the pages tell the time by `clock`.

    Where people log in, `status.public_url` is the address of the site, unless it is given.
    """
    clock, login = clock or SystemClock(), None
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    if issuer := settings.oidc_issuer:
        settings = attrs.evolve(settings, public_url=settings.public_url or address)
        provider = OpenIdProvider(settings, issuer, Secret(CLIENT_SECRET, "a test"))
        login = Login(settings, provider, Logouts(rows, settings.cache, clock), KEY, clock)
    metrics = Metrics()
    app = create_app(Context(settings, rows, metrics, clock=clock, login=login))
    server = uvicorn.Server(
        uvicorn.Config(app, http=Connection, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield Site(address, rows, metrics)
    finally:
        server.should_exit = True
        thread.join(10)
