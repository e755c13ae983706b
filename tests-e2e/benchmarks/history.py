"""Whether views stay fast with years of history, and what maintain costs: `hatch run bench:history`. See README.md."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import psycopg
from psycopg.rows import TupleRow

from dbadmin.history.maintain import maintain
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from local_stack.servers import embedded_postgresql
from monitoring_core.config import DatabaseConfig
from monitoring_runtime.postgres import connect

ROUNDS = 5
SCHEMA = "monitoring"

RAW = """
INSERT INTO monitoring.availability_result (target_id, scheduled_at, started_at, finished_at, location, status, reason,
    response_time_s, connect_s, http_status, remote_address, producer_id)
SELECT i, at, at, at, 'default', CASE WHEN down THEN 'down' ELSE 'up' END, CASE WHEN down THEN 'timeout' END,
    CASE WHEN NOT down THEN 0.1 * exp(random()) END, 0.02, 200, '192.0.2.17', 1
FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz - interval '1 minute', interval '1 minute') minute,
    generate_series(1, %(targets)s) i,
    LATERAL (SELECT minute + i * 37 %% 60 * interval '1 second' AS at) slot,
    LATERAL (SELECT i %% 50 = 0 OR (i + extract(epoch FROM minute)::bigint / 600) %% 997 = 0 AS down) d"""
MARK = """INSERT INTO monitoring.availability_dirty_hour
    SELECT generate_series(date_trunc('hour', %(start)s::timestamptz, 'UTC'), %(end)s, interval '1 hour')"""
HOURLY = """
INSERT INTO monitoring.availability_hourly (target_id, hour, location, first_up_at, up, down, unknown, p50_s, p95_s,
    p99_s, response_sketch)
SELECT i, hour, 'default', hour, 58, 1, 1, 0.2, 0.3, 0.4,
    ARRAY(SELECT (170 + bucket) << 20 | 3 FROM generate_series(1, 20) bucket)
FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz - interval '1 hour', interval '1 hour') hour,
    generate_series(1, %(targets)s) i ON CONFLICT DO NOTHING"""
DAILY = """
INSERT INTO monitoring.availability_daily (target_id, day, location, up, down, unknown, p50_s, p95_s, p99_s,
    response_sketch)
SELECT i, day, 'default', 1392, 24, 24, 0.2, 0.3, 0.4,
    ARRAY(SELECT (170 + bucket) << 20 | 60 FROM generate_series(1, 24) bucket)
FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz - interval '1 day', interval '1 day') day,
    generate_series(1, %(targets)s) i ON CONFLICT DO NOTHING"""
# One of two hours for each target and day.
INCIDENTS = """
INSERT INTO monitoring.availability_incident (target_id, location, began_at, ended_at, reason, checks)
SELECT i, 'default', day + interval '3 hours', day + interval '5 hours', 'timeout', 120
FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz - interval '1 day', interval '1 day') day,
    generate_series(1, %(targets)s) i ON CONFLICT DO NOTHING"""
QUERIES = {
    "status, all": "SELECT * FROM monitoring.website_status",
    "status, down": "SELECT * FROM monitoring.website_status WHERE status = 'down'",
    "status, one": "SELECT * FROM monitoring.website_status WHERE target_id = 77",
    "hourly, one, a day": "SELECT * FROM monitoring.website_availability_hourly "
    "WHERE target_id = 77 AND hour >= now() - interval '1 day'",
    "hourly, all, 1 hour": "SELECT * FROM monitoring.website_availability_hourly "
    "WHERE hour = date_trunc('hour', now() - interval '3 hours', 'UTC')",
    "daily, one, 30 days": "SELECT * FROM monitoring.website_availability_daily "
    "WHERE target_id = 77 AND day > (now() AT TIME ZONE 'UTC')::date - 30",
    "incidents, open": "SELECT * FROM monitoring.website_incident WHERE ended_at IS NULL",
    "incidents, a day": "SELECT * FROM monitoring.website_incident WHERE began_at >= now() - interval '1 day'",
    "incidents, one": "SELECT * FROM monitoring.website_incident WHERE target_id = 77 ORDER BY began_at DESC LIMIT 20",
}


def timed(connection: psycopg.Connection[TupleRow], query: str) -> float:
    """The median of the milliseconds from sending to the last row."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        connection.execute(query).fetchall()
        found.append(1000 * (time.perf_counter() - began))
    return statistics.median(found)


def fill(connection: psycopg.Connection[TupleRow], targets: int, start: dt.datetime, end: dt.datetime) -> None:
    """Make roll-ups and incidents of a span of whole days."""
    for statement in (HOURLY, DAILY, INCIDENTS):
        connection.execute(statement, {"start": start, "end": end, "targets": targets})


def run(config: DatabaseConfig) -> tuple[float, int]:
    """Seconds that maintain takes, and how many hours it rolled up."""
    began = time.perf_counter()
    hours = sum(done.step == "hour" for done in maintain(config, dt.datetime.now(dt.UTC)))
    return time.perf_counter() - began, hours


def measure(config: DatabaseConfig, targets: int, raw_hours: int, stages: list[int]) -> dict[str, Any]:
    create_database(config)
    now = dt.datetime.now(dt.UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    list(create_schema(config, now.date()))
    found: dict[str, Any] = {"targets": targets}
    with connect(config, "benchmark", autocommit=True) as connection:
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_url) "
            "SELECT 'https://website-' || i || '.example/' FROM generate_series(1, %s) i",
            (targets,),
        )
        connection.execute("INSERT INTO monitoring.producer_lease VALUES ('default', 1, 'bench', now(), now())")
        span = {"start": max(now - dt.timedelta(hours=raw_hours), today - dt.timedelta(days=1)), "end": now}
        span["end"] -= dt.timedelta(minutes=5)
        for statement in (RAW, MARK):
            connection.execute(statement, span | {"targets": targets})
        connection.execute("VACUUM ANALYZE monitoring.availability_result")
        seconds, hours = run(config)
        found["maintain, seconds for a day of results"] = 24 * seconds / hours
        found["maintain again, seconds"] = run(config)[0]
        # The results of the last five minutes.
        connection.execute(RAW, {"start": span["end"], "end": now, "targets": targets})
        kept = today - dt.timedelta(days=1)
        for days in stages:
            oldest = today - dt.timedelta(days=days)
            if oldest < kept:
                fill(connection, targets, oldest, kept)
                kept = oldest
            connection.execute("VACUUM ANALYZE")
            found[f"{days} days"] = {name: timed(connection, query) for name, query in QUERIES.items()}
            print(f"{days:>4} days  " + "  ".join(f"{name}: {ms:.1f}" for name, ms in found[f"{days} days"].items()))
        size = connection.execute("SELECT pg_total_relation_size('monitoring.availability_hourly')").fetchone()
        found["hourly, MB"] = size[0] / 1e6 if size else None
        began = time.perf_counter()
        connection.execute(MARK, {"start": now - dt.timedelta(minutes=10), "end": now})
        found["maintain, seconds with the newest hour"] = run(config)[0]
        found["seconds"] = time.perf_counter() - began
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1_000)
    parser.add_argument("--raw-hours", type=int, default=24, help="How many hours of single results, 47 at most.")
    parser.add_argument("--days", type=int, nargs="+", default=[1, 30, 365], help="Of roll-ups, one measurement each.")
    parser.add_argument("--json", type=Path, default=Path("bench-history.json"), metavar="FILE")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_postgresql(Path(folder) / "postgres") as server,
    ):
        config = attrs.evolve(
            DatabaseConfig(host=server.host, port=server.port, user=server.user, schema=SCHEMA), database="history"
        )
        found = measure(config, arguments.targets, min(arguments.raw_hours, 47), sorted(arguments.days))
    for name, value in found.items():
        if not isinstance(value, dict):
            print(f"{name}: {value:,.2f}")
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\nwritten to {arguments.json}")


if __name__ == "__main__":
    main()
