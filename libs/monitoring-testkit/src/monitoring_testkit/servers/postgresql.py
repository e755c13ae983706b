"""What the PostgreSQL servers for tests share: installed programs, and the first connection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from local_stack.servers import STARTING
from monitoring_core.errors import StopError
from monitoring_runtime.retry import attempts

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

    from local_stack.processes import Child

_START_S = 30


def binaries() -> Path | None:
    """The folder of the newest PostgreSQL where Debian's packages install it; None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


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
