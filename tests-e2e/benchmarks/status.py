"""How long status-svc takes for metrics and for the API: `hatch run bench:status`. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import requests
import uvicorn

from dbadmin.history.maintain import maintain
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from local_stack.servers import embedded_postgresql
from monitoring_core.config import DatabaseConfig, StatusConfig
from monitoring_runtime.postgres import connect
from status_svc.adapters.database import PostgresDatabase
from status_svc.app import create_app
from status_svc.context import Context
from status_svc.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGETS = """
INSERT INTO monitoring.availability_monitor_config (amc_url, amc_labels)
SELECT format('https://www.website-%%s.example.com/status', i),
    jsonb_build_object('team', (i %% 50)::text, 'name', i::text)
FROM generate_series(1, %(targets)s) i"""
# The newest two checks of each target from each location, one of fifty down.
RESULTS = """
INSERT INTO monitoring.availability_result (target_id, scheduled_at, started_at, finished_at, location, status, reason,
    response_time_s, dns_s, connect_s, tls_s, first_byte_s, transfer_s, http_status, http_version, tls_version,
    redirects, body_bytes, certificate_expires_at, chain_expires_at, remote_address, producer_id)
SELECT i, at, at, at, 'place-' || place, CASE WHEN down THEN 'down' ELSE 'up' END, CASE WHEN down THEN 'timeout' END,
    0.1 * exp(random()), 0.01, 0.02, 0.03, 0.04, 0.005, 200, '2', '1.3', 0, 4711, at + interval '60 days',
    at + interval '60 days', '192.0.2.17', 1
FROM generate_series(1, %(targets)s) i, generate_series(1, %(places)s) place, generate_series(0, 1) ago,
    LATERAL (SELECT date_trunc('minute', now()) - ago * interval '1 minute' + i %% 60 * interval '1 second'
        - interval '1 minute' AS at) slot,
    LATERAL (SELECT i %% 50 = 0 AS down) d"""
# What an installation of this size has beside results: an incident, an alert and a note of each tenth target.
MORE = (
    """
INSERT INTO monitoring.availability_incident (target_id, location, began_at, ended_at, reason, checks, end_reason)
SELECT i, 'place-1', now() - i * interval '20 s', now() - (i - 3) * interval '20 s', 'timeout', 1, 'recovered'
FROM generate_series(11, %(targets)s, 10) i ON CONFLICT DO NOTHING""",
    """
INSERT INTO monitoring.alert_transition (transition_id, alert_id, target_id, policy, kind, severity, state, before,
    at, since, locations, evidence, url)
SELECT i || '-' || state, md5(i::text), i, 'down', 'down', 'critical', state, 'ok', now(), now(), '{place-1}', '[]', ''
FROM generate_series(1, %(targets)s, 10) i, unnest(ARRAY['firing', 'resolved']) state""",
    """
INSERT INTO monitoring.incident_note (target_id, began_at, kind, text)
SELECT i, now() - i * interval '20 s', 'identified', repeat('word ', 40) FROM generate_series(1, %(targets)s, 10) i""",
    """
INSERT INTO monitoring.maintenance_window (begins_at, ends_at)
SELECT now(), now() + interval '1 hour' FROM generate_series(1, 1000) i WHERE %(targets)s > 0""",
)
MARK = """
INSERT INTO monitoring.availability_dirty_hour
SELECT generate_series(date_trunc('hour', now() - interval '1 hour', 'UTC'), now(), interval '1 hour')"""


@contextmanager
def served(config: DatabaseConfig) -> Iterator[str]:
    """The service in a thread; gives the beginning of its URLs."""
    settings = StatusConfig(
        anonymous_read=True, cache=dt.timedelta(seconds=1), metric_labels=("team",), requests_per_minute=1_000_000
    )
    metrics = Metrics()
    database = PostgresDatabase(config, settings.pool_size, metrics)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(Context(settings, database, metrics)),
            host="127.0.0.1",
            port=0,
            log_config=None,
            access_log=False,
            lifespan="off",
        )
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        thread.join(0.01)
    try:
        (port,) = {socket.getsockname()[1] for listener in server.servers for socket in listener.sockets}
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        database.close()


def fill(config: DatabaseConfig, targets: int, places: int) -> None:
    """Write the results of now, and let maintain see them."""
    values = {"targets": targets, "places": places}
    with connect(config, "benchmark", autocommit=True) as connection:
        connection.execute("TRUNCATE monitoring.availability_monitor_config RESTART IDENTITY")
        connection.execute("TRUNCATE monitoring.availability_result, monitoring.availability_state")
        connection.execute(TARGETS.encode(), values)
        connection.execute(RESULTS.encode(), values)
        connection.execute(MARK.encode())
    list(maintain(config, dt.datetime.now(dt.UTC)))
    with connect(config, "benchmark", autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def scrape(url: str, rounds: int) -> dict[str, float]:
    """Times of scrapes that nothing is kept for."""
    times, size, series = [], 0, 0
    for _ in range(rounds):
        time.sleep(1.1)
        began = time.monotonic()
        answer = requests.get(f"{url}/metrics/websites", timeout=60)
        times.append(time.monotonic() - began)
        assert answer.status_code == 200, answer.text
        size, series = len(answer.content), answer.text.count("\nprobe_")
    return {"median s": statistics.median(times), "longest s": max(times), "MB": size / 1e6, "series": series}


PATHS: dict[str, dict[str, str]] = {
    "/targets": {},
    "/targets?label": {"label": "team=7"},
    "/status": {},
    "/status?label": {"label": "team=7"},
    "/incidents": {},
    "/alerts": {},
    "/notes": {},
    "/maintenance": {},
    "/reports/availability": {},
}


def page_through(url: str, path: str, parameters: dict[str, str], requests_each: int) -> dict[str, float]:
    """Times of pages of a hundred, one after another from the first one on; at the end it begins again."""
    session, times, cursor, bytes_each = requests.Session(), [], None, 0
    for _ in range(requests_each):
        given = parameters | ({"cursor": cursor} if cursor else {})
        began = time.monotonic()
        answer = session.get(f"{url}/api/v1{path.partition('?')[0]}", params=given, timeout=60)
        times.append(time.monotonic() - began)
        assert answer.status_code == 200, answer.text
        cursor, bytes_each = answer.json()["next"], len(answer.content)
    times.sort()
    percentiles = {f"p{p} ms": 1_000 * times[min(len(times) - 1, len(times) * p // 100)] for p in (50, 95)}
    return percentiles | {"longest ms": 1_000 * times[-1], "kB": bytes_each / 1_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=10_000, help="Targets of the scrape, each from three locations.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--api-targets", type=int, default=100_000, help="Targets of the API, each from one location.")
    parser.add_argument("--requests", type=int, default=100, help="Requests for each path of the API.")
    parser.add_argument("--json", type=Path, default=Path("bench-status.json"), metavar="FILE")
    arguments = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, embedded_postgresql(Path(folder) / "postgres") as postgres:
        config = DatabaseConfig(host=postgres.host, port=postgres.port, user=postgres.user, database="bench")
        create_database(config)
        list(create_schema(config, dt.datetime.now(dt.UTC).date()))
        fill(config, arguments.targets, 3)
        with served(config) as url:
            found["/metrics/websites"] = scrape(url, arguments.rounds)
        fill(config, arguments.api_targets, 1)
        with connect(config, "benchmark", autocommit=True) as connection:
            for statement in MORE:
                connection.execute(statement.encode(), {"targets": arguments.api_targets})
            connection.execute("VACUUM ANALYZE")
        with served(config) as url:
            for path, parameters in PATHS.items():
                found[path] = page_through(url, path, parameters, arguments.requests)
    for name, values in found.items():
        print(f"{name:<24}", "  ".join(f"{key}: {value:,.3g}" for key, value in values.items()), flush=True)
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
