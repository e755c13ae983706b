"""status-svc as a process: what it says, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
import requests

from monitoring_core.config import Role, StatusConfig
from monitoring_core.errors import OutageError
from monitoring_testkit.waiting import until
from status_svc import wiring
from status_svc.adapters.database import PostgresDatabase
from status_svc.metrics import Metrics

if TYPE_CHECKING:
    import psycopg

    from monitoring_core.config import Config

pytestmark = pytest.mark.integration_test


# One that has all the time of the world to end, so that nobody can take what it waits for no longer for an end at once.
PATIENT = "import sys; from status_svc import cli, wiring; wiring.SHUTDOWN_S = 600; cli.main(sys.argv[1:])"


def started(tmp_path: Path, *settings: str, program: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    program = program or (str(Path(sys.executable).with_name("status-svc")),)
    command = [*program, "run", "--config", str(tmp_path / "config.yaml")]
    for setting in ("status.host=127.0.0.1", "status.port=0", "metrics.host=127.0.0.1", "metrics.port=0", *settings):
        command += ["--set", setting]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def ports(process: subprocess.Popen[str]) -> tuple[int, int]:
    assert process.stderr
    line = json.loads(process.stderr.readline())
    assert line["event"] == "starting", line
    return line["port"], line["metrics_port"]


def test_it_becomes_ready_and_ends_well_on_a_signal(config: Config, tmp_path: Path) -> None:
    process = started(tmp_path)
    port, metrics_port = ports(process)
    until(lambda: requests.get(f"http://127.0.0.1:{metrics_port}/readyz", timeout=60).status_code == 200)
    answer = requests.get(f"http://127.0.0.1:{port}/nothing", timeout=60)
    assert answer.status_code == 404
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in answer.headers
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    # Nothing beside the log: what clients do wrong is no line of another form.
    assert process.stderr
    assert all(json.loads(line)["service"] == "status-svc" for line in process.stderr)


def test_it_says_that_postgresql_is_away_and_that_it_has_stopped(config: Config, tmp_path: Path) -> None:
    """Also when nobody asks for a page."""
    process = started(tmp_path, "database.host=127.0.0.1", "database.port=1")
    ports(process)
    assert process.stderr
    line = json.loads(process.stderr.readline())
    process.send_signal(signal.SIGTERM)
    assert (line["level"], line["event"]) == ("warning", "PostgreSQL cannot be read, retrying")
    assert line["error"].startswith("PostgreSQL at 127.0.0.1:1 cannot be reached")
    assert [json.loads(line)["event"] for line in process.stderr] == ["stopped"]
    assert process.wait(60) == 0


def test_an_answer_is_sent_at_once() -> None:
    """Its body does not wait until the client has acknowledged its head, 40 ms on a connection that is kept."""
    with (
        wiring._listening(StatusConfig(host="127.0.0.1", port=0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_it_ends_at_once_while_pages_are_open(config: Config, tmp_path: Path) -> None:
    """They come back to another process; nothing is wrong, and so the log does not say that."""
    process = started(tmp_path, program=(sys.executable, "-c", PATIENT))
    port, _ = ports(process)
    with requests.get(f"http://127.0.0.1:{port}/events", stream=True, timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(b"retry: ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    assert process.stderr
    assert all(json.loads(line)["level"] == "info" for line in process.stderr)


def exported(tmp_path: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("status-svc"))
    command = [program, "export", str(tmp_path / "site"), "--config", str(tmp_path / "config.yaml")]
    for setting in settings:
        command += ["--set", setting]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)


def test_the_public_page_is_written_as_files(config: Config, tmp_path: Path) -> None:
    """Again and again; while PostgreSQL is away, what was written stays."""
    for _ in range(2):
        done = exported(tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f"files written to {tmp_path / 'site'}\n")
    page = (tmp_path / "site" / "index.html").read_bytes()
    assert b"<html" in page
    away = exported(tmp_path, "database.port=1", "database.host=127.0.0.1")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith("PostgreSQL at 127.0.0.1:1")
    assert "Traceback" not in away.stderr
    assert (tmp_path / "site" / "index.html").read_bytes() == page


def test_a_schema_that_is_too_old_ends_it(
    config: Config, connection: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    connection.execute("UPDATE monitoring.schema_version SET version_num = '0014'")
    process = started(tmp_path)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "schema monitoring is at revision 0014, too old for this service, which needs 0022" in said


def test_a_port_that_is_taken_is_told(config: Config, tmp_path: Path) -> None:
    process = started(tmp_path)
    port, _ = ports(process)
    second = started(tmp_path, f"status.port={port}")
    _, said = second.communicate(timeout=120)
    assert second.returncode == 1
    assert f"status: cannot listen on 127.0.0.1:{port}: Address already in use" in said
    process.terminate()
    assert process.wait(60) == 0


def test_a_statement_that_cannot_be_sent_is_an_outage(config: Config) -> None:
    away = attrs.evolve(config.database, port=1)
    database = PostgresDatabase(away, 1, Metrics())
    with pytest.raises(OutageError, match="cannot be reached"):
        asyncio.run(database.rows("SELECT 1"))
    database.close()


def test_too_many_statements_are_refused_at_once(config: Config) -> None:
    account = config.database_as(Role.STATUS)
    assert account
    database = PostgresDatabase(account, 1, Metrics())

    async def ask() -> list[object]:
        asked = (database.rows("SELECT pg_sleep(0.02)") for _ in range(40))
        return list(await asyncio.gather(*asked, return_exceptions=True))

    outcomes = asyncio.run(ask())
    assert sum(isinstance(one, OutageError) for one in outcomes) == 40 - 33
    assert sum(isinstance(one, list) for one in outcomes) == 33
    database.close()


def test_its_account_reads_no_table_with_secrets(config: Config) -> None:
    account = config.database_as(Role.STATUS)
    assert account
    database = PostgresDatabase(account, 1, Metrics())
    for table in ("availability_monitor_config", "availability_result", "producer_lease", "alert_notification"):
        with pytest.raises(OutageError, match="permission denied"):
            asyncio.run(database.rows(f"SELECT FROM {{{table}}}"))
    assert asyncio.run(database.rows("SELECT * FROM {website_target}")) == []
    database.close()
