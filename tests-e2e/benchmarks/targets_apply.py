"""How long planning and applying many declared targets takes, by dbadmin and by the API: `hatch run bench:apply`.

See README.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import requests
import yaml

from dbadmin.install.roles import create_roles
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.tokens import add_token
from local_stack.servers import embedded_postgresql
from monitoring_core.config import load_config
from monitoring_core.tokens import Scope
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import Config

TABLE = "monitoring.availability_monitor_config"
OTHERS = f"INSERT INTO {TABLE} (amc_url) SELECT 'https://other-' || i || '.example/' FROM generate_series(1, %s) i"


def declaration(targets: int, regexp: str = "All systems", without: int = 0, owner: str = "bench") -> dict[str, object]:
    """What a team declares, without one of so many targets; one of twenty has a regexp of its own."""
    items = [
        {
            "key": f"website-{i}",
            "url": f"https://www.website-{i}.{owner}.example.com/status/page?id={i}",
            "regexp": f"(?i)all .* (work|ok) {i}" if i % 20 == 0 else f"{regexp} {i % 97}",
            "check_interval_s": (60, 300)[i % 2],
            "timeout_s": 10,
            "labels": {"team": f"t{i % 50}"},
        }
        for i in range(targets)
        if not without or i % without
    ]
    return {"owner": owner, "targets": items}


class Bench:
    """One PostgreSQL with the real table."""

    def __init__(self, config: Config, config_file: Path) -> None:
        self._config = config.database
        self._config_file = config_file
        self._token = add_token(config.database, "bench", [Scope.READ, Scope.WRITE], None)

    def run(self, file: Path, command: str, *options: str) -> tuple[dict[str, float], str]:
        """`dbadmin targets` as a process from start to end, and the last line that it says."""
        program = [sys.executable, "-c", "from dbadmin.cli import main; main()", "targets", command, "-f", str(file)]
        began, xids = time.monotonic(), self._transactions()
        process = subprocess.Popen([*program, "--config", str(self._config_file), *options], stdout=subprocess.PIPE)
        assert process.stdout is not None
        said = process.stdout.read().decode().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        found = {"seconds": seconds, "own CPU": usage.ru_utime + usage.ru_stime, "MB": usage.ru_maxrss / 1024}
        assert status == 0, said
        return found | {"transactions that wrote": self._transactions() - xids}, said[-1]

    @contextmanager
    def service(self) -> Iterator[str]:
        """status-svc as a process; gives the beginning of its URLs."""
        command = [str(Path(sys.executable).with_name("status-svc")), "run", "--config", str(self._config_file)]
        for setting in ("status.host=127.0.0.1", "status.port=0", "metrics.port=0", "status.writes=true"):
            command += ["--set", setting]
        process = subprocess.Popen([*command, "--set", "status.requests_per_minute=1000000"], stderr=subprocess.PIPE)
        try:
            assert process.stderr
            yield f"http://127.0.0.1:{json.loads(process.stderr.readline())['port']}/api/v1"
        finally:
            process.terminate()
            process.wait()

    def ask(self, url: str, command: str, content: object) -> tuple[dict[str, float], str]:
        """A request, how long others waited meanwhile, and what was answered."""
        session, body = requests.Session(), json.dumps(content).encode()
        session.headers.update({"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"})
        waits, ended = [0.0], threading.Event()

        def others() -> None:
            with requests.Session() as other:
                while not ended.wait(0.01):
                    began = time.monotonic()
                    assert other.get(f"{url}/openapi.json", timeout=60).status_code == 200
                    waits.append(time.monotonic() - began)

        beside = threading.Thread(target=others)
        beside.start()
        began = time.monotonic()
        answer = session.post(f"{url}/targets/{command}", data=body, timeout=60)
        seconds = time.monotonic() - began
        ended.set()
        beside.join()
        assert answer.status_code == 200, answer.text[:1_000]
        told = answer.json()
        said = f"{len(told['changes']):,} changes told, {told['left_out']:,} left out, {told['unchanged']:,} unchanged"
        return {"seconds": seconds, "longest wait of others": max(waits), "MB": len(answer.content) / 1e6}, said

    def _transactions(self) -> int:
        """How many transactions have written something."""
        with connect(self._config, "benchmark") as connection:
            row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
            assert row is not None
            return int(row[0])


def write_file(path: Path, content: dict[str, object]) -> None:
    """Write a file as a team has it."""
    path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))


def measure(targets: int, others: int, directory: Path) -> dict[str, dict[str, float]]:
    """Seconds, memory and writes of each step; it says what each did."""
    with embedded_postgresql(directory / "postgres") as postgres:
        config_file = directory / "config.yaml"
        config_file.write_text(
            f"kafka: {{bootstrap_servers: '127.0.0.1:1'}}\n"
            f"database: {{host: '{postgres.host}', port: {postgres.port}, user: {postgres.user}, database: bench}}\n"
            "roles: {status_user: status, status_writer_user: writer}\n"
        )
        config = load_config(config_file, environ={})
        create_database(config.database)
        list(create_roles(config))
        list(create_schema(config.database, dt.datetime.now(dt.UTC).date(), config.roles))
        with connect(config.database, "benchmark") as connection:
            connection.execute(OTHERS, (others,))
        bench, found = Bench(config, config_file), {}
        steps: tuple[tuple[str, str, dict[str, object]], ...] = (
            ("plan of the first", "plan", {}),
            ("first apply", "apply", {}),
            ("second apply, nothing changes", "apply", {}),
            ("apply, nearly all change", "apply", {"regexp": "All systems go"}),
            ("apply, all change back and a tenth goes", "apply", {"without": 10}),
        )
        for name, command, how in steps:
            file = directory / "targets.yaml"
            write_file(file, declaration(targets, **how))  # type: ignore[arg-type]
            found[name], said = bench.run(file, command, *(["--yes"] if command == "apply" else []))
            print(f"{name}: {said}")
        with bench.service() as url:
            for name, command, how in steps:
                asked, said = bench.ask(url, command, declaration(targets, owner="api", **how))  # type: ignore[arg-type]
                found[f"API: {name}"] = asked | {"of dbadmin's": asked["seconds"] / found[name]["seconds"]}
                print(f"API: {name}: {said}")
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--others", type=int, default=100_000, help="targets of nobody in the same table")
    parser.add_argument("--json", type=Path, default=Path("bench-apply.json"), metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.targets, arguments.others, Path(folder))
    for name, figures in found.items():
        print(name, *(f"{figure}: {value:,.2f}" for figure, value in figures.items()), sep="; ")
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
