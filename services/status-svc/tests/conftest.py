"""status-svc on a real PostgreSQL, as its own account, behind a real port."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest
import requests
import structlog
import uvicorn
import yaml
from writing import Writing

from dbadmin.install.roles import create_roles
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.tokens import add_token
from monitoring_core.config import Role, StatusConfig, load_config
from monitoring_core.tokens import Scope
from monitoring_testkit.database import connect
from monitoring_testkit.fixtures.postgresql import postgres, server
from status_svc.adapters.database import PostgresDatabase
from status_svc.app import create_app
from status_svc.context import Context
from status_svc.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from psycopg.rows import TupleRow

    from monitoring_core.config import Config, DatabaseConfig

__all__ = ["config", "connection", "postgres", "serve", "server", "writing"]

_names = itertools.count()


@attrs.frozen
class Served:
    """A running service.

    Attributes:
        url: its beginning, without a slash at the end.
    """

    url: str
    metrics: Metrics

    def get(self, path: str, **options: object) -> requests.Response:
        """Ask for a path; follows no redirects."""
        return self.send("GET", path, **options)

    def send(self, method: str, path: str, **options: object) -> requests.Response:
        """Send a request; follows no redirects."""
        return requests.request(method, self.url + path, timeout=60, allow_redirects=False, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """What a test makes of the log, by what a command does first, is gone after it."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def config(server: str, tmp_path: Path) -> Config:
    """A schema of its own, and an account for status-svc."""
    number = next(_names)
    info = psycopg.conninfo.conninfo_to_dict(server)
    name = f"status {number}"
    content = {
        "kafka": {"bootstrap_servers": "k:1"},
        "database": {"host": info["host"], "user": info["user"], "port": int(str(info["port"])), "database": name},
        "roles": {"status_user": name, "status_writer_user": f"{name} writer"},
    }
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(content))
    made = load_config(file, environ={})
    create_database(made.database)
    list(create_roles(made))
    list(create_schema(made.database, dt.datetime.now(dt.UTC).date(), made.roles))
    return made


@pytest.fixture
def connection(config: Config) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection as the owner of the schema."""
    with connect(config.database) as made:
        yield made


@pytest.fixture
def serve(config: Config) -> Iterator[Callable[..., Served]]:
    """Starts the service; its arguments replace settings."""
    running = []

    def start(database: DatabaseConfig | None = None, **settings: Any) -> Served:
        account = database or config.database_as(Role.STATUS)
        writer = config.database_as(Role.STATUS_WRITER)
        assert account
        assert writer
        one = _running(account, writer, attrs.evolve(StatusConfig(anonymous_read=True), **settings))
        running.append(one)
        return one.__enter__()

    yield start
    for one in running:
        one.__exit__(None, None, None)


@pytest.fixture
def writing(config: Config, serve: Callable[..., Served]) -> Writing:
    """The service with writes on, and a token with the scope for them."""
    token = add_token(config.database, "shop robot", [Scope.WRITE], None)
    account = config.roles.user(Role.STATUS_WRITER)
    assert account
    return Writing(serve(writes=True), token, account)


@contextmanager
def _running(account: DatabaseConfig, writer: DatabaseConfig, settings: StatusConfig) -> Iterator[Served]:
    metrics = Metrics()
    database = PostgresDatabase(account, settings.pool_size, metrics)
    writing = PostgresDatabase(writer, 2, metrics) if settings.writes else None
    app = create_app(Context(settings, database, metrics, writing))
    running = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off")
    )
    thread = threading.Thread(target=lambda: asyncio.run(running.serve()))
    thread.start()
    while not running.started and thread.is_alive():
        thread.join(0.01)
    try:
        (port,) = {socket.getsockname()[1] for listener in running.servers for socket in listener.sockets}
        yield Served(f"http://127.0.0.1:{port}", metrics)
    finally:
        running.should_exit = True
        thread.join()
        database.close()
        if writing:
            writing.close()
