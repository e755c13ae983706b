"""A real TimescaleDB: PostgreSQL 17 of Debian trixie with the Apache edition, in a root folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from local_stack.processes import Child, free_port
from local_stack.servers import Postgres
from monitoring_core.errors import StopError
from monitoring_testkit.servers.postgresql import first_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = "/usr/lib/postgresql/17/bin"
_AS_POSTGRES = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups")


def root() -> Path:
    """Where the root folder is expected; `.ci/run` makes it with mmdebstrap."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "website-availability-monitor" / "timescaledb-trixie"


def missing() -> str | None:
    """What this machine lacks to run TimescaleDB, or None."""
    if os.geteuid() != 0:
        return "only root may change into another root folder"
    if not (root() / BIN.lstrip("/") / "postgres").exists():
        return (
            f"{root()} is not there: mmdebstrap --variant=minbase --include=postgresql-17-timescaledb trixie {root()}"
        )
    return None


@contextlib.contextmanager
def timescaledb(directory: Path) -> Iterator[Postgres]:
    """A TimescaleDB that ends with the block, when its data is deleted; its log is in `directory`.

    Raises:
        StopError: the server does not start; the text holds the last lines of its log.
    """
    data, port = f"/var/lib/postgresql/{uuid.uuid4().hex}", free_port()
    enter = ["chroot", str(root()), *_AS_POSTGRES]
    made = subprocess.run(
        [*enter, f"{BIN}/initdb", "-A", "trust", "-D", data], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise StopError(f"initdb failed: {made.stderr[-500:]}")
    options = [part for setting in _settings(port) for part in ("-c", setting)]
    child = Child("TimescaleDB", [*enter, f"{BIN}/postgres", "-D", data, *options], directory / "timescaledb.log")
    try:
        first_connection(child, host="127.0.0.1", port=str(port), user="postgres", dbname="postgres").close()
        yield Postgres("127.0.0.1", port, "postgres")
    finally:
        child.stop()
        shutil.rmtree(root() / data.lstrip("/"), ignore_errors=True)


def _settings(port: int) -> tuple[str, ...]:
    return (
        "shared_preload_libraries=timescaledb",
        "timescaledb.telemetry_level=off",
        "listen_addresses=127.0.0.1",
        f"port={port}",
        "unix_socket_directories=",
        # The root folder has no /dev/shm.
        "dynamic_shared_memory_type=mmap",
    )
