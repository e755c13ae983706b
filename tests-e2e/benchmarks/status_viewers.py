"""What pages that are open cost PostgreSQL and status-svc: `hatch run bench:status-viewers`. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from status import fill
from status_pages import PUBLIC, processor_s, serving

from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from local_stack.servers import embedded_postgresql
from monitoring_core.config import DatabaseConfig
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from monitoring_runtime.session import Session

_REQUEST = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
_AT_ONCE = 200
# PostgreSQL counts transactions; each statement of status-svc is one. Those of autovacuum would count, too.
_NO_VACUUM = ("ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")
_COUNTED = "SELECT pg_stat_clear_snapshot(), xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'bench'"
_CHANGE = """
INSERT INTO monitoring.availability_result (target_id, scheduled_at, started_at, finished_at, location, status, reason,
    producer_id) SELECT 1, at, at, at, 'place-1', %(status)s, CASE WHEN %(status)s = 'down' THEN 'timeout' END, 1
FROM (SELECT clock_timestamp() AS at) c"""


class Viewers:
    """Pages that are open, and how many changes each has been told of."""

    def __init__(self) -> None:
        self.told = 0
        self._reading: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, port: int, count: int) -> None:
        """Open so many pages, a few at a time."""
        for begin in range(0, count, _AT_ONCE):
            await asyncio.gather(*(self._open(port) for _ in range(min(_AT_ONCE, count - begin))))

    async def _open(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        writer.write(_REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        self._writers.append(writer)
        self._reading.append(asyncio.create_task(self._read(reader)))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.told += line == b"event: state\n"

    def close(self) -> None:
        """Leave all of them."""
        for task in self._reading:
            task.cancel()
        for writer in self._writers:
            writer.close()


async def watch(port: int, pid: int, connection: Session, viewers: int, seconds: int) -> dict[str, float]:
    """What so many viewers cost while a website changes every two seconds."""
    open_pages = Viewers()
    await open_pages.open(port, viewers)
    # The first event has everything; it is not counted.
    await asyncio.sleep(10)
    before = counted(connection)
    spent, told, began = processor_s(pid), open_pages.told, time.monotonic()
    changes = 0
    while time.monotonic() - began < seconds:
        connection.execute(_CHANGE.encode(), {"status": "down" if changes % 2 else "up"})
        changes += 1
        await asyncio.sleep(2)
    await asyncio.sleep(3)
    statements, lasted = counted(connection) - before - changes - 1, time.monotonic() - began
    # Our own statements are transactions, too.
    figures = {
        "viewers": viewers,
        "statements a second": statements / lasted,
        "changes": changes,
        "events a viewer": (open_pages.told - told) / viewers,
        "% of a core": 100 * (processor_s(pid) - spent) / lasted,
    }
    open_pages.close()
    return figures


def counted(connection: Session) -> int:
    """How many transactions PostgreSQL has ended in this database; a server process tells of its own after a second."""
    time.sleep(1.5)
    row = connection.execute(_COUNTED).fetchone()
    assert row
    return int(row[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1_000)
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 10_000])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--cache", default="1s", help="How often pages are read anew, at most (status.cache).")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name, embedded_postgresql(Path(name) / "postgres") as postgres:
        config = DatabaseConfig(host=postgres.host, port=postgres.port, user=postgres.user, database="bench")
        create_database(config)
        list(create_schema(config, dt.datetime.now(dt.UTC).date()))
        fill(config, arguments.targets, 3)
        with connect(config, "benchmark", autocommit=True) as connection:
            connection.execute(PUBLIC.replace("%%", "%").encode())
            connection.execute(b"VACUUM ANALYZE")
            for statement in _NO_VACUUM:
                connection.execute(statement.encode())
            for viewers in arguments.viewers:
                with serving(config, Path(name), arguments.cache, connections=1) as (port, pid):
                    found = asyncio.run(watch(port, pid, connection, viewers, arguments.seconds))
                print("  ".join(f"{key}: {value:,.4g}" for key, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
