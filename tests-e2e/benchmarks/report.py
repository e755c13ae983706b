"""How long a report of a month takes with many targets: `hatch run bench:report`. See README.md."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.reports.documents import html
from dbadmin.reports.making import make_report
from dbadmin.reports.model import Question
from local_stack.servers import embedded_postgresql
from monitoring_core.config import DatabaseConfig
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

# A month with five Sundays.
MONTH, BEGIN, END = "2024-09", dt.datetime(2024, 9, 1, tzinfo=dt.UTC), dt.datetime(2024, 10, 1, tzinfo=dt.UTC)
# The hour that the window of every Sunday cuts.
CUT = dt.datetime(2024, 9, 1, 4, tzinfo=dt.UTC)

TARGETS = """
INSERT INTO monitoring.availability_monitor_config
    (amc_id, amc_url, amc_check_interval_s, amc_labels, amc_active_since, amc_added_at)
SELECT i, 'https://website-' || i || '.example/', 60, jsonb_build_object('team', 'team-' || i % 20),
    CASE WHEN i % 20 = 0 THEN %(begin)s + i * interval '250 seconds' ELSE %(begin)s - interval '1 day' END,
    %(begin)s - interval '1 day'
FROM generate_series(1, %(targets)s) i"""
# One target of twenty got its interval in the course of the month, each at a moment of its own.
HISTORY = """
INSERT INTO monitoring.availability_monitor_config_history (target_id, changed_at, change, before)
SELECT amc_id, amc_active_since, 'changed', '{"amc_check_interval_s": 120}'
FROM monitoring.availability_monitor_config WHERE amc_id % 20 = 0"""
# One hour of thirteen has a check that was down and one that says nothing.
HOURLY = """
INSERT INTO monitoring.availability_hourly (target_id, hour, location, first_up_at, up, down, unknown, p50_s, p95_s,
    p99_s, response_sketch)
SELECT i, hour, 'default', hour, n - 2 * bad, bad, bad, 0.2, 0.3, 0.4, sketch
FROM generate_series(%(begin)s::timestamptz, %(end)s::timestamptz - interval '1 hour', interval '1 hour') hour,
    generate_series(1, %(targets)s) i,
    LATERAL (SELECT ((i + extract(epoch FROM hour)::bigint / 3600) %% 13 = 0)::integer AS bad) b,
    LATERAL (SELECT CASE WHEN i %% 20 = 0 AND hour < %(begin)s + i * interval '250 seconds' THEN 30 ELSE 60 END AS n) n,
    (SELECT array_agg((170 + bucket) << 20 | 3) AS sketch FROM generate_series(1, 20) bucket) s"""
DAILY = """
INSERT INTO monitoring.availability_daily (target_id, day, location, up, down, unknown, p50_s, p95_s, p99_s,
    response_sketch)
SELECT target_id, date_trunc('day', hour, 'UTC'), location, sum(up), sum(down), sum(unknown), 0.2, 0.3, 0.4,
    min(response_sketch)
FROM monitoring.availability_hourly GROUP BY 1, 2, 3"""
# The rows of the hours that the window cuts: a month of all would be hundreds of millions.
RAW = """
INSERT INTO monitoring.availability_result (target_id, scheduled_at, started_at, finished_at, location, status, reason,
    response_time_s, connect_s, http_status, remote_address, producer_id)
SELECT target_id, at, at, at, location, s, CASE WHEN s <> 'up' THEN 'timeout' END, 0.2, 0.02, 200, '192.0.2.17', 1
FROM monitoring.availability_hourly h, generate_series(0, up + down + unknown - 1) n,
    LATERAL (SELECT h.hour + n * (3600 / (up + down + unknown)) * interval '1 second' AS at,
        CASE WHEN n < down THEN 'down' WHEN n < down + unknown THEN 'unknown' ELSE 'up' END AS s) r
WHERE hour = ANY(%(cut)s)"""
INCIDENTS = """
INSERT INTO monitoring.availability_incident (target_id, location, began_at, ended_at, reason, checks)
SELECT target_id, location, hour, hour + interval '1 minute', 'timeout', 1
FROM monitoring.availability_hourly WHERE down > 0"""
REST = (
    "INSERT INTO monitoring.availability_location VALUES ('default', '2024-08-01 00:00+00')",
    """INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at, recurrence)
    VALUES ('{}', '2024-09-01 02:00+00', '2024-09-01 04:30+00', 'FREQ=WEEKLY;BYDAY=SU')""",
    "UPDATE monitoring.availability_progress SET rolled_up_until = '2024-10-02 00:00+00'",
)


def fill(connection: psycopg.Connection[TupleRow], targets: int) -> None:
    """Make a month of roll-ups, and the single rows of the hours that are cut."""
    cut = [CUT + dt.timedelta(weeks=week) for week in range(5)]
    values = {"targets": targets, "begin": BEGIN, "end": END, "cut": cut}
    for statement in (TARGETS.replace(" % ", " %% "), HISTORY, HOURLY, DAILY, RAW, INCIDENTS, *REST):
        connection.execute(statement, values if "%(" in statement else None)
    connection.execute("VACUUM ANALYZE")


def measure(config: DatabaseConfig, targets: int) -> dict[str, Any]:
    """Seconds of the first report and of a second, and what it said."""
    create_database(config)
    list(create_schema(config, BEGIN.date()))
    found: dict[str, Any] = {"targets": targets}
    with connect(config, "benchmark", autocommit=True) as connection:
        began = time.perf_counter()
        fill(connection, targets)
        found["seconds to fill"] = time.perf_counter() - began
        row = connection.execute("SELECT count(*) FROM monitoring.availability_hourly").fetchone()
        found["hours"] = row[0] if row else None
        row = connection.execute("SELECT count(*) FROM monitoring.availability_result").fetchone()
        found["rows"] = row[0] if row else None
    for name, zone in (("first", "UTC"), ("again", "UTC"), ("Europe/Berlin", "Europe/Berlin")):
        began = time.perf_counter()
        report = make_report(config, Question(MONTH, zone, Fraction("99.9"), {}, None))
        found[f"report, {name}, seconds"] = time.perf_counter() - began
        if name == "again":
            found |= attrs.asdict(report.summary)
            began = time.perf_counter()
            found["HTML, MB"] = len(html(report)) / 1e6
            found["HTML, seconds"] = time.perf_counter() - began
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--json", type=Path, default=Path("bench-report.json"), metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, embedded_postgresql(Path(folder) / "postgres") as server:
        config = DatabaseConfig(host=server.host, port=server.port, user=server.user, database="report")
        found = measure(config, arguments.targets)
    for name, value in found.items():
        print(f"{name}: {value:,.2f}" if isinstance(value, float) else f"{name}: {value}")
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
