"""What importing targets costs beside a bare COPY of the same file: `hatch run bench:import`. See README.md."""

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
from pathlib import Path
from typing import TYPE_CHECKING

from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from local_stack.servers import embedded_postgresql
from monitoring_core.config import DatabaseConfig, load_config
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = "monitoring.availability_monitor_config"
HEADER = "url,regexp,check_interval_s,timeout_s,labels"
COLUMNS = ", ".join(f"amc_{name}" for name in HEADER.split(","))


def write_csv(path: Path, count: int, odd: int) -> None:
    """Write targets as users have them; one of every `odd` lines has a real regular expression, which is compiled."""
    with path.open("w") as file:
        file.write(HEADER + "\n")
        for i in range(count):
            regexp = f"(?i)all .* (work|ok) {i % 97}" if i % odd == 0 else f"All systems {i % 97}"
            interval = (60, 300)[i % 2]
            url = f"https://www.website-{i}.example.com/status/page?id={i}"
            file.write(f'{url},{regexp},{interval},10,"{{""team"": ""t{i % 50}""}}"\n')


def write_jsonl(source: Path, path: Path) -> None:
    with source.open() as rows, path.open("w") as file:
        next(rows)
        for row in rows:
            url, regexp, interval, timeout, labels = row.rstrip("\n").split(",")
            fields = {"url": url, "regexp": regexp, "check_interval_s": int(interval), "timeout_s": float(timeout)}
            file.write(json.dumps(fields | {"labels": json.loads(labels[1:-1].replace('""', '"'))}) + "\n")


class Bench:
    """One PostgreSQL with the real table, emptied between the subjects."""

    def __init__(self, directory: Path, config: DatabaseConfig, config_file: Path) -> None:
        self._directory = directory
        self._config = config
        self._config_file = config_file

    def empty(self) -> None:
        with connect(self._config, "benchmark", autocommit=True) as connection:
            connection.execute(f"TRUNCATE {TABLE}")
            connection.execute("CHECKPOINT")

    def floor(self, file: Path) -> dict[str, float]:
        """The server's COPY of the file as it is, in blocks, into the table with its indexes and triggers."""
        self.empty()
        began = time.monotonic()
        statement = f"COPY {TABLE} ({COLUMNS}) FROM STDIN (FORMAT csv, HEADER)"
        with (
            connect(self._config, "benchmark") as connection,
            file.open("rb") as content,
            connection.cursor().copy(statement) as copy,
        ):
            while block := content.read(1 << 17):
                copy.write(block)
        return {"seconds": time.monotonic() - began}

    def imported(self, file: Path, *options: str) -> dict[str, float]:
        """`dbadmin targets import` as a process: its memory, and the longest that another session's change waits."""
        command = [sys.executable, "-c", "from dbadmin.cli import main; main()", "targets", "import", str(file)]
        stop, waits = threading.Event(), [0.0]
        other = threading.Thread(target=self._change, args=(stop, waits))
        other.start()
        began = time.monotonic()
        process = subprocess.Popen([*command, "--config", str(self._config_file), *options], stdout=subprocess.PIPE)
        assert process.stdout is not None
        said = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        stop.set()
        other.join()
        assert status == 0, said
        return {"seconds": seconds, "MB": usage.ru_maxrss / 1024, "longest wait of others, s": max(waits)}

    def _change(self, stop: threading.Event, waits: list[float]) -> None:
        with connect(self._config, "benchmark", autocommit=True) as connection:
            while not stop.wait(0.05):
                began = time.monotonic()
                connection.execute(f"UPDATE {TABLE} SET amc_regexp = amc_regexp WHERE amc_id = 0")
                waits.append(time.monotonic() - began)


def measure(count: int, directory: Path) -> dict[str, dict[str, float]]:
    with embedded_postgresql(directory / "postgres") as postgres:
        config_file = directory / "config.yaml"
        config_file.write_text(
            f"kafka: {{bootstrap_servers: '127.0.0.1:1'}}\n"
            f"database: {{host: '{postgres.host}', port: {postgres.port}, user: {postgres.user}, database: bench}}\n"
        )
        config = load_config(config_file, environ={}).database
        create_database(config)
        list(create_schema(config, dt.datetime.now(dt.UTC).date()))
        bench = Bench(directory, config, config_file)
        plain, real, text = directory / "plain.csv", directory / "real.csv", directory / "real.jsonl"
        write_csv(plain, count, count + 1)
        write_csv(real, count, 20)
        write_jsonl(real, text)
        subjects: dict[str, Callable[[], dict[str, float]]] = {
            "bare COPY": lambda: bench.floor(real),
            "import, CSV": lambda: bench.imported(real),
            "again, nothing changed": lambda: bench.imported(real),
            "dry run": lambda: bench.imported(real, "--dry-run"),
            "import, CSV without regular expressions": lambda: bench.imported(plain),
            "import, JSON Lines": lambda: bench.imported(text),
        }
        found = {}
        for name, subject in subjects.items():
            if name.startswith("import"):
                bench.empty()
            found[name] = subject()
            print(f"{name:<42}", "  ".join(f"{key}: {value:,.1f}" for key, value in found[name].items()), flush=True)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, default=Path("bench-import.json"), metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.targets, Path(folder))
    floor = found["bare COPY"]["seconds"]
    for name, values in found.items():
        print(f"{name:<42} {values['seconds'] / floor:.2f} times the bare COPY")
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
