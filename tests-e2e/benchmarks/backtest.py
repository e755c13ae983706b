"""How long a backtest of a month of results takes: `hatch run bench:backtest`. See README.md."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs

from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from local_stack.servers import embedded_postgresql
from monitoring_core.config import DatabaseConfig
from monitoring_core.schedule import phase_ms
from monitoring_runtime.postgres import connect

POLICIES = """policies:
  - {name: website-down, kind: down, severity: critical}
  - {name: website-slow, kind: degraded, response_time: 5s}
  - {name: certificate, kind: certificate_expires_within}
  - {name: coverage, kind: missed}
"""
# One row a minute and target. One slot in 2,000 is down by itself, one in 20,000 is slow, and one in 20,000 is missing;
# each target is down for half an hour on every sixth day, at a time of its own.
ROWS = """
INSERT INTO monitoring.availability_result (target_id, scheduled_at, started_at, finished_at, certificate_expires_at,
    chain_expires_at, location, status, reason, dns_s, connect_s, tls_s, first_byte_s, transfer_s, response_time_s,
    queue_delay_s, body_bytes, http_status, remote_address, http_version, tls_version, error, producer_id)
SELECT id, at, at, at + took * interval '1 second', expires, expires, 'default',
    CASE WHEN down THEN 'down' ELSE 'up' END,
    CASE WHEN down THEN 'timeout' END, 0.01, 0.02, 0.03, took / 2, 0.01, took,
    0.001, 20000, CASE WHEN NOT down THEN 200 END, '192.0.2.17', '1.1', '1.3', CASE WHEN down THEN 'no answer' END, 1
FROM generate_series(%(begin)s::timestamptz, %(end)s::timestamptz - interval '1 minute', interval '1 minute') minute,
    website,
    LATERAL (SELECT minute + phase AS at, random() AS chance, %(expires)s::timestamptz AS expires) a,
    LATERAL (SELECT chance < 0.0005 OR ((extract(epoch FROM minute)::bigint / 60 + id * 97) %% 8640) < 30 AS down) b,
    LATERAL (SELECT CASE WHEN chance > 0.99995 THEN 8 ELSE 0.1 * exp(random()) END AS took) c
WHERE chance < 0.9999 OR chance > 0.99995"""


def fill(config: DatabaseConfig, targets: int, begin: dt.datetime, days: int) -> None:
    """Make the schema, targets and their results, day by day."""
    list(create_schema(config, begin.date()))
    with connect(config, "benchmark", autocommit=True) as connection:
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_url) "
            "SELECT 'https://website-' || i || '.example/' FROM generate_series(1, %s) i",
            (targets,),
        )
        connection.execute("CREATE TEMPORARY TABLE website (id bigint, phase interval)")
        with connection.cursor() as cursor, cursor.copy("COPY website FROM STDIN") as copy:
            for number in range(1, targets + 1):
                copy.write_row((number, dt.timedelta(milliseconds=phase_ms(number, 60))))
        values = {"expires": begin + dt.timedelta(days=days + 20)}
        for day in range(days):
            start = begin + dt.timedelta(days=day)
            list(create_schema(config, start.date()))
            connection.execute(ROWS, values | {"begin": start, "end": start + dt.timedelta(days=1)})
        connection.execute("VACUUM ANALYZE monitoring.availability_result")


def measure(config: DatabaseConfig, folder: Path) -> tuple[float, dict[str, Any]]:
    """Seconds that the command takes, and what it says in all."""
    policies, settings = folder / "alerts.yaml", folder / "config.yaml"
    policies.write_text(POLICIES)
    database = {"host": config.host, "port": config.port, "user": config.user, "database": config.database}
    settings.write_text(json.dumps({"kafka": {"bootstrap_servers": "none:9092"}, "database": database}))
    command = [str(Path(sys.executable).with_name("alert-svc")), "backtest", "--policies", str(policies)]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--since", "30d", "-o", "json", "--config", str(settings)], check=True, stdout=subprocess.PIPE
    )
    return time.perf_counter() - began, json.loads(done.stdout)["totals"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--json", type=Path, default=Path("bench-backtest.json"), metavar="FILE")
    arguments = parser.parse_args()
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with tempfile.TemporaryDirectory() as name, embedded_postgresql(Path(name) / "postgres") as server:
        config = attrs.evolve(DatabaseConfig(host=server.host, port=server.port, user=server.user), database="backtest")
        create_database(config)
        fill(config, arguments.targets, today - dt.timedelta(days=arguments.days), arguments.days)
        seconds, totals = measure(config, Path(name))
    rows = arguments.targets * arguments.days * 1_440
    found = {"rows": rows, "seconds": seconds, "rows a second": rows / seconds, "totals": totals}
    print(json.dumps(found))
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
