"""The one place that builds the adapters and joins them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

import structlog
import uvicorn

from monitoring_core.clock import SystemClock
from monitoring_core.config import ConfigError, Fault, Role
from monitoring_core.errors import OutageError, StopError
from monitoring_runtime.endpoint import Endpoint
from monitoring_runtime.health import Health
from monitoring_runtime.logs import configure_logging
from monitoring_runtime.outage import Outage
from monitoring_runtime.stop import stop_on_signals
from status_svc import __version__
from status_svc.adapters.database import PostgresDatabase
from status_svc.app import create_app
from status_svc.connections import Connection, ServerLog
from status_svc.context import Context
from status_svc.export import files, write
from status_svc.metrics import Metrics
from status_svc.pages.cache import Cache
from status_svc.pages.documents import base
from status_svc.pages.queries import Queries

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp

    from monitoring_core.config import Config, DatabaseConfig, StatusConfig
    from status_svc.login import Login
    from status_svc.ports import Database

log = structlog.get_logger()

LOOK_EVERY_S = 10.0
# Requests that are under way at a stop have so long to end.
SHUTDOWN_S = 5
# Connections that write: writes are few, and those that change targets wait for each other anyway.
WRITERS = 2
# Of what signs cookies: shorter ones can be tried out.
SHORTEST_KEY = 32
_LOOK = "SELECT FROM {website_status} LIMIT 0"


def run(config: Config) -> None:
    """Serve until it is stopped.

    Raises:
        ConfigError: a password is not where the configuration says, or as for `login_of`.
        StopError: the address cannot be listened on, the schema is not for this release, or there is no account that
            writes where writes are on.
    """
    configure_logging(config.logging, "status-svc")
    logging.getLogger("uvicorn").handlers = [ServerLog()]
    metrics, health = Metrics(), Health()
    database = PostgresDatabase(config.database, config.status.pool_size, metrics)
    login = login_of(config.status, database)
    writer = PostgresDatabase(_writing(config), WRITERS, metrics) if config.status.writes else None
    context = Context(config.status, database, metrics, writer, login=login)
    server = uvicorn.Server(_settings(config.status, create_app(context)))
    with (
        contextlib.closing(database),
        contextlib.closing(writer) if writer else contextlib.nullcontext(),
        stop_on_signals(),
        _listening(config.status) as listener,
        Endpoint(config.metrics, metrics.registry, health) as endpoint,
    ):
        log.info(
            "starting",
            version=__version__,
            host=config.status.host,
            port=listener.getsockname()[1],
            postgresql=config.database.address,
            metrics_port=endpoint.port,
        )
        asyncio.run(_serve(server, listener, database, health))
    log.info("stopped")


def export_once(config: Config, directory: Path) -> int:
    """Write the public view of now as files; returns how many.

    Raises:
        OutageError: PostgreSQL is away.
        StopError: the schema is not for this release, or the folder cannot be written.
    """
    configure_logging(config.logging, "status-svc")
    with contextlib.closing(PostgresDatabase(config.database, config.status.pool_size, Metrics())) as database:
        public = asyncio.run(Cache(Queries(database), SystemClock(), config.status).read()).public
    return write(directory, files(public, config.status.title, base(config.status)))


def check_login(config: Config) -> None:
    """Raise what `login_of` raises."""
    with contextlib.closing(PostgresDatabase(config.database, 1, Metrics())) as database:
        login_of(config.status, database)


def login_of(settings: StatusConfig, database: Database) -> Login | None:
    """How people log in; None where they show a token. It connects nowhere.

    Raises:
        ConfigError: the extra that it needs is not installed, or a secret is missing or too short.
    """
    if settings.oidc_issuer is None:
        return None
    try:
        from status_svc.adapters.openid import OpenIdProvider
        from status_svc.login import Login
        from status_svc.logouts import Logouts
    except ImportError as error:
        message = f"needs pip install 'status-svc[oidc]' ({error})"
        raise ConfigError([Fault("this installation", "status.oidc_issuer", message)]) from None
    secret, key = settings.oidc_client_secret, settings.oidc_session_key
    assert secret
    assert key
    signs = key.resolve().reveal()
    if len(signs) < SHORTEST_KEY:
        raise ConfigError([Fault(key.place, key.path, f"must have at least {SHORTEST_KEY} characters")])
    provider = OpenIdProvider(settings, settings.oidc_issuer, secret.resolve())
    return Login(settings, provider, Logouts(database, settings.cache), signs, SystemClock())


def _writing(config: Config) -> DatabaseConfig:
    """How this service connects to write: never as the account that only reads."""
    if account := config.database_as(Role.STATUS_WRITER):
        return account
    if config.roles.user(Role.STATUS):
        raise StopError("status.writes: needs roles.status_writer_user, because roles.status_user may not write")
    return config.database


async def _serve(server: uvicorn.Server, listener: socket.socket, database: Database, health: Health) -> None:
    """Serve until a signal comes: uvicorn takes it, and when it is done passes it on to the handlers of before."""
    look = asyncio.create_task(_look(server, database, health))
    await server.serve([listener])
    look.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await look


async def _look(server: uvicorn.Server, database: Database, health: Health) -> None:
    """Say every few seconds whether this process can do its work; end it when it never can."""
    outage = Outage("PostgreSQL cannot be read, retrying", "PostgreSQL can be read again")
    while True:
        health.beat()
        try:
            await database.rows(_LOOK)
        except OutageError as error:
            outage.lasts(str(error))
            health.set_not_ready(str(error))
        except StopError:
            server.should_exit = True
            raise
        else:
            outage.ends()
            health.set_ready()
        await asyncio.sleep(LOOK_EVERY_S)


def _listening(status: StatusConfig) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in status.host else socket.AF_INET
        listener = socket.create_server((status.host, status.port), family=family, backlog=1024)
        # Connections have it from here. asyncio sets it only where the socket names TCP, which this one does not.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise StopError(
            f"status: cannot listen on {status.host}:{status.port}: {error.strerror or error} "
            "(set status.port, 0 for any free port)"
        ) from None


def _settings(status: StatusConfig, app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(status.trusted_proxies),
        forwarded_allow_ips=list(status.trusted_proxies),
        timeout_graceful_shutdown=SHUTDOWN_S,
        h11_max_incomplete_event_size=16 * 1024,
    )
