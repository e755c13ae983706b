"""An embedded PostgreSQL for tests, and what the other ones share: installed programs, the first connection."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from local_stack.servers import STARTING, Postgres, connect, embedded_postgresql
from monitoring_core.errors import StopError
from monitoring_runtime.retry import attempts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.rows import TupleRow

    from local_stack.processes import Child

_START_S = 120


@contextlib.contextmanager
def quick_postgresql(directory: Path) -> Iterator[Postgres]:
    """An embedded PostgreSQL that does not wait for the disk. It ends with the block.

    It survives a kill, but not the machine's end, after which nobody would ask for its data.
    """
    with embedded_postgresql(directory) as running:
        with connect(running, "postgres") as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield running


def binaries() -> Path | None:
    """The folder of the newest PostgreSQL where Debian's packages install it; None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def missing() -> str | None:
    """What this machine lacks to run an installed PostgreSQL, or None."""
    if binaries() is None:
        return "no PostgreSQL in /usr/lib/postgresql"
    return None if shutil.which("setpriv") or os.geteuid() else "setpriv is not installed"


def as_postgres(program: str, *arguments: str) -> list[str]:
    """A command that runs an installed program of PostgreSQL as an ordinary user, because it refuses to run as root.

    Raises:
        StopError: none is installed.
    """
    folder = binaries()
    if folder is None:
        raise StopError("no PostgreSQL is installed in /usr/lib/postgresql")
    command = [str(folder / program), *arguments]
    if os.geteuid():
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *command]


def first_connection(child: Child, **parameters: str) -> psycopg.Connection[TupleRow]:
    """A connection to a server that is starting, as soon as it accepts one.

    Args:
        parameters: libpq's parameters of the connection.

    Raises:
        StopError: the server has ended; the text holds the last lines of its log.
        psycopg.OperationalError: the server accepts no connection in time.
    """
    for attempt in attempts(psycopg.OperationalError, _START_S, STARTING):
        with attempt:
            if child.status is not None:
                raise StopError(f"{child.name} ended with status {child.status}: {child.last_lines()}")
            return psycopg.connect(make_conninfo(**parameters))
    raise AssertionError("the last attempt returns or raises")
