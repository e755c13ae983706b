"""How long planning and applying many declared targets takes: `hatch run bench:apply`. See README.md."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from local_stack.servers import embedded_postgresql
from monitoring_core.config import load_config
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from monitoring_core.config import DatabaseConfig

TABLE = "monitoring.availability_monitor_config"
OTHERS = f"INSERT INTO {TABLE} (amc_url) SELECT 'https://other-' || i || '.example/' FROM generate_series(1, %s) i"


def write_file(path: Path, targets: int, regexp: str = "All systems", without: int = 0) -> None:
    """Write a file as a team has it, without one of so many targets; one of twenty has a regexp of its own."""
    items = [
        {
            "key": f"website-{i}",
            "url": f"https://www.website-{i}.example.com/status/page?id={i}",
            "regexp": f"(?i)all .* (work|ok) {i}" if i % 20 == 0 else f"{regexp} {i % 97}",
            "check_interval_s": (60, 300)[i % 2],
            "timeout_s": 10,
            "labels": {"team": f"t{i % 50}"},
        }
        for i in range(targets)
        if not without or i % without
    ]
    path.write_text(yaml.dump({"owner": "bench", "targets": items}, Dumper=yaml.CSafeDumper, sort_keys=False))


class Bench:
    """One PostgreSQL with the real table."""

    def __init__(self, config: DatabaseConfig, config_file: Path) -> None:
        self._config = config
        self._config_file = config_file

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

    def _transactions(self) -> int:
        """How many transactions have written something."""
        with connect(self._config, "benchmark") as connection:
            row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
            assert row is not None
            return int(row[0])


def measure(targets: int, others: int, directory: Path) -> dict[str, dict[str, float]]:
    """Seconds, memory and writes of each step; it says what each did."""
    with embedded_postgresql(directory / "postgres") as postgres:
        config_file = directory / "config.yaml"
        config_file.write_text(
            f"kafka: {{bootstrap_servers: '127.0.0.1:1'}}\n"
            f"database: {{host: '{postgres.host}', port: {postgres.port}, user: {postgres.user}, database: bench}}\n"
        )
        config = load_config(config_file, environ={}).database
        create_database(config)
        list(create_schema(config, dt.datetime.now(dt.UTC).date()))
        with connect(config, "benchmark") as connection:
            connection.execute(OTHERS, (others,))
        bench = Bench(config, config_file)
        first, changed, fewer = directory / "first.yaml", directory / "changed.yaml", directory / "fewer.yaml"
        write_file(first, targets)
        write_file(changed, targets, regexp="All systems go")
        write_file(fewer, targets, without=10)
        found = {}
        for name, file, command in (
            ("plan of the first", first, "plan"),
            ("first apply", first, "apply"),
            ("second apply, nothing changes", first, "apply"),
            ("apply, nearly all change", changed, "apply"),
            ("apply, all change back and a tenth goes", fewer, "apply"),
        ):
            found[name], said = bench.run(file, command, *(["--yes"] if command == "apply" else []))
            print(f"{name}: {said}")
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
