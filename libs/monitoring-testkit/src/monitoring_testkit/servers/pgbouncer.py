"""A real PgBouncer before a PostgreSQL on 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from local_stack.processes import Child, free_port
from monitoring_testkit.servers.postgresql import first_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = "pgbouncer"


def missing() -> str | None:
    """What this machine lacks to run PgBouncer, or None."""
    if not _program():
        return "pgbouncer is not installed"
    return None if shutil.which("setpriv") or os.geteuid() else "setpriv is not installed"


@attrs.frozen
class PgBouncer:
    """Where a PgBouncer listens: every user and every database of the server, without a password."""

    port: int


@contextlib.contextmanager
def pgbouncer(server_port: int, pool_mode: str) -> Iterator[PgBouncer]:
    """A PgBouncer that ends with the block.

    Args:
        server_port: where PostgreSQL listens.
        pool_mode: session, transaction or statement.

    Raises:
        StopError: it does not start; the text holds the last lines of its log.
    """
    home, port = Path(tempfile.mkdtemp(prefix="pgbouncer-")), free_port()
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": pool_mode,
        "default_pool_size": 4,
        "max_client_conn": 100,
        "logfile": "",
    }
    lines = ["[databases]", f"* = host=127.0.0.1 port={server_port} user=postgres", "[pgbouncer]"]
    (home / "pgbouncer.ini").write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in settings.items())]))
    home.chmod(0o755)
    command = [_program(), str(home / "pgbouncer.ini")]
    if not os.geteuid():  # it refuses to run as root
        command = ["setpriv", "--reuid=nobody", "--clear-groups", "--", *command]
    child = Child("PgBouncer", command, home / "log")
    try:
        first_connection(child, host="127.0.0.1", port=str(port), user="postgres", dbname="postgres").close()
        yield PgBouncer(port)
    finally:
        child.stop()
        shutil.rmtree(home, ignore_errors=True)


def _program() -> str:
    """The program, which Debian installs where only root looks; empty without one."""
    return shutil.which(_PROGRAM) or shutil.which(_PROGRAM, path="/usr/sbin") or ""
