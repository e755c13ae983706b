"""How soon status-svc begins to answer with the public page: `hatch run bench:status-pages`. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from status import fill

from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from local_stack.servers import embedded_postgresql
from monitoring_core.config import DatabaseConfig
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DAYS = """
INSERT INTO monitoring.availability_daily (target_id, day, location, up, down, unknown)
SELECT i, date_trunc('day', now(), 'UTC') - ago * interval '1 day', 'place-1', 1440 - failed, failed, 0
FROM generate_series(1, %(targets)s) i, generate_series(1, 89) ago,
    LATERAL (SELECT CASE WHEN random() < 0.03 THEN (random() * 100)::int ELSE 0 END AS failed WHERE i + ago > 0) f
ON CONFLICT DO NOTHING"""
PUBLIC = """UPDATE monitoring.availability_monitor_config SET amc_labels = amc_labels ||
    jsonb_build_object('status_page', 'public', 'name', 'Component ' || amc_id, 'group', 'Group ' || amc_id %% 20)"""
_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"


@contextlib.contextmanager
def serving(
    config: DatabaseConfig, folder: Path, cache: str = "1s", core: int | None = None, connections: int = 4
) -> Iterator[tuple[int, int]]:
    """status-svc as a process, on one core or on any; gives its port and its process ID."""
    file = folder / "config.yaml"
    database = {"host": config.host, "port": config.port, "user": config.user, "database": config.database}
    file.write_text(json.dumps({"kafka": {"bootstrap_servers": "k:1"}, "database": database}))
    program = str(Path(sys.executable).with_name("status-svc"))
    command = [*([] if core is None else ["taskset", "-c", str(core)]), program, "run", "--config", str(file)]
    given = (f"status.cache={cache}", f"status.pool_size={connections}")
    for setting in ("status.host=127.0.0.1", "status.port=0", "metrics.enabled=false", *given):
        command += ["--set", setting]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            yield json.loads(process.stderr.readline())["port"], process.pid
        finally:
            process.terminate()


async def ask(port: int, due: float) -> tuple[float, int]:
    """Ask when it is due; returns from then to the first byte, in seconds, and the size of the answer."""
    await asyncio.sleep(max(0.0, due - time.monotonic()))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_REQUEST)
    first = await reader.read(65_536)
    took = time.monotonic() - due
    rest = await reader.read()
    writer.close()
    head, _, body = (first + rest).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return took, len(body)


async def load(port: int, a_second: int, seconds: int) -> tuple[Sequence[float], int]:
    """Requests at even distances, whether or not the ones before are answered."""
    await ask(port, time.monotonic())
    begin = time.monotonic() + 0.5
    asked = [asyncio.create_task(ask(port, begin + n / a_second)) for n in range(a_second * seconds)]
    answers = await asyncio.gather(*asked)
    return sorted(took for took, _ in answers), max(size for _, size in answers)


def processor_s(pid: int) -> float:
    """How much processor time a process has taken (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1_000)
    parser.add_argument("--a-second", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=30)
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name, embedded_postgresql(Path(name) / "postgres") as postgres:
        config = DatabaseConfig(host=postgres.host, port=postgres.port, user=postgres.user, database="bench")
        create_database(config)
        list(create_schema(config, dt.datetime.now(dt.UTC).date()))
        fill(config, arguments.targets, 3)
        with connect(config, "benchmark", autocommit=True) as connection:
            connection.execute(DAYS.encode(), {"targets": arguments.targets})
            connection.execute(PUBLIC.replace("%%", "%").encode())
        with serving(config, Path(name), core=cores[-1]) as (port, pid):
            asyncio.run(load(port, 10, 1))
            before = processor_s(pid)
            times, size = asyncio.run(load(port, arguments.a_second, arguments.seconds))
            spent = processor_s(pid) - before
    figures = {f"p{p} ms": 1_000 * times[min(len(times) - 1, len(times) * p // 100)] for p in (50, 95, 99)}
    figures |= {"longest ms": 1_000 * times[-1], "kB compressed": size / 1_000, "requests": len(times)}
    figures |= {"ms of processor a request": 1_000 * spent / len(times)}
    print("  ".join(f"{key}: {value:,.4g}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
