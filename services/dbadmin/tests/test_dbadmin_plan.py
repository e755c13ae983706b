"""What an installation needs."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dbadmin.cli import main
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.sizing.inventory import read_row_bytes
from dbadmin.sizing.planning import CHECK_US, Circumstances, Costs, Load, check_us, plan
from local_stack.servers import embedded_broker
from monitoring_core.config import Config, EngineName, load_config
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.yaml"
    path.write_text("kafka: {bootstrap_servers: '127.0.0.1:1'}\ndatabase: {host: 127.0.0.1, port: 1, user: u}\n")
    return path


def needs(config: Config, loads: list[Load], known: Circumstances | None = None) -> dict[str, float]:
    found = plan(config, loads, Costs(check_us=CHECK_US[EngineName.REQUESTS]), known or Circumstances())
    return {need.what: need.need for need in found}


def test_a_plan_adds_up(plain: Path) -> None:
    """6,000 targets a minute and 600 an hour, by the definitions."""
    found = needs(load_config(plain, environ={}), [Load(6_000, 60), Load(600, 3600)])
    rate = 100 + 1 / 6
    assert found["checks a second"] == pytest.approx(rate)
    assert found["producers"] == 7
    assert found["processor of each producer"] == pytest.approx(rate / 7 * 2151 / 1e6)
    assert found["consumers"] == 1
    assert found["connections to PostgreSQL"] == 7 + 1 + 3 + 4 + 3
    assert found["PostgreSQL's disk a month"] == pytest.approx(rate * 2_592_000 * 200)
    assert found["Kafka's disk"] == pytest.approx(rate * 604_800 * 420 * 3)


def test_without_targets_a_plan_needs_no_producer(plain: Path) -> None:
    """Nothing divides by zero."""
    found = needs(load_config(plain, environ={}), [])
    assert (found["producers"], found["checks a second"], found["consumers"]) == (0, 0, 1)


def test_every_engine_has_a_measured_figure() -> None:
    """A new engine is measured by tests-e2e/benchmarks before it is planned for."""
    assert set(CHECK_US) == set(EngineName)


def test_an_engine_that_was_not_measured_is_planned_as_the_dearest(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine may cost as much, and a plan that is too small is noticed too late."""
    assert [check_us(engine) for engine in (EngineName.NATIVE, EngineName.REQUESTS)] == [475.0, 2151.0]
    monkeypatch.delitem(CHECK_US, EngineName.NATIVE)
    assert check_us(EngineName.NATIVE) == 2151.0
    status, said = run(plain, "plan", "--targets", "1", "--set", "monitor.engine=native")
    assert (status, "2,151 µs each with engine native" in said) == (0, True)


def test_another_consumer_is_planned_when_half_of_the_measured_rate_is_passed(plain: Path) -> None:
    """The other half is for catching up after an outage."""
    config = load_config(plain, environ={})
    assert needs(config, [Load(56_000, 1)])["consumers"] == 1
    assert needs(config, [Load(56_001, 1)])["consumers"] == 2


def test_twice_as_many_partitions_as_consumers_are_advised(plain: Path) -> None:
    """More consumers can be added later, and partitions cannot be added without moving keys."""
    config = load_config(plain, environ={})
    costs = Costs(check_us=check_us(EngineName.NATIVE), consumer_rows=100)
    found = plan(config, [Load(350, 1)], costs, Circumstances())
    need = next(need for need in found if need.what == "partitions of the topic")
    assert (need.need, need.have) == (7, 6)
    assert need.advice == "kafka.partitions: 14, then dbadmin create-topics"


def test_a_status_svc_has_the_connections_of_its_settings(plain: Path) -> None:
    """Beside those that read, two that write where it may."""
    for settings, count in ((["status.pool_size=9"], 9), (["status.pool_size=9", "status.writes=true"], 11)):
        found = needs(load_config(plain, environ={}, settings=settings), [Load(6_000, 60)])
        assert found["connections to PostgreSQL"] == 6 + 1 + 3 + count + 3


def run(path: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner(env={"COLUMNS": "160"}).invoke(main, [*arguments, "--config", str(path)])
    return done.exit_code, done.stdout


def test_a_plan_before_there_is_anything(plain: Path) -> None:
    """A million targets a minute: no server is asked, and each thing that is not enough has its advice."""
    status, said = run(plain, "plan", "--targets", "1000000", "--interval", "60s", "--json")
    found = {need["what"]: need for need in json.loads(said)}
    assert status == 0
    assert found["producers"]["need"] == 1000
    assert found["connections to PostgreSQL"]["need"] == 1011
    costly = ("--set", "monitor.websites_per_container=100000", "--set", "monitor.engine=requests")
    status, said = run(plain, "plan", "--targets", "1000000", *costly)
    assert status == 1
    assert "monitor.websites_per_container: 13947, or monitor.engine: native" in said
    assert "monitor.max_concurrent_checks: 1668" in said


def test_next_to_nothing_is_said_so(plain: Path) -> None:
    """Nobody can read 4e-05 processors."""
    _, said = run(plain, "plan", "--targets", "6")
    (line,) = (line for line in said.splitlines() if "PostgreSQL's processors" in line)
    assert "< 0.01" in line


def test_costs_may_be_given(plain: Path) -> None:
    """A person who has measured their own can use them."""
    options = ["--check-us", "100", "--row-bytes", "1000", "--message-bytes", "10", "--kafka-retention", "1d"]
    _, said = run(plain, "plan", "--targets", "60", "--json", *options)
    found = {need["what"]: need["need"] for need in json.loads(said)}
    assert found["processor of each producer"] == pytest.approx(100 / 1e6)
    assert found["PostgreSQL's disk a month"] == 2_592_000 * 1000
    assert found["Kafka's disk"] == 86_400 * 10 * 3


def test_an_interval_alone_is_refused(plain: Path) -> None:
    """Without a number of targets the interval would be ignored."""
    assert run(plain, "plan", "--interval", "60s")[0] == 2


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "0"])
def test_a_cost_is_a_number(plain: Path, number: str) -> None:
    """Python reads NaN and infinity as numbers, and nothing can be computed from them."""
    assert run(plain, "plan", "--targets", "6", "--check-us", number)[0] == 2


def test_a_plan_says_how_it_knows_the_replicas(plain: Path) -> None:
    """Without Kafka they are configured, or assumed."""
    line = "420 bytes a message, 7 days, "
    assert f"{line}3 replicas (assumed)" in run(plain, "plan", "--targets", "6")[1]
    configured = ("--set", "kafka.replication_factor=1")
    assert f"{line}1 replica (configured)" in run(plain, "plan", "--targets", "6", *configured)[1]


@pytest.mark.integration_test
def test_a_plan_takes_the_topic_as_it_is(ready: Config, config_file: Path, tmp_path: Path) -> None:
    """Not as it is configured: with two partitions and one replica, though 6 and 3 are configured."""
    with embedded_broker(tmp_path) as servers:
        options = ("--set", f"kafka.bootstrap_servers={servers}", "--set", "kafka.replication_factor=3")
        _, said = run(config_file, "plan", "--json", *options)
        found = {need["what"]: need for need in json.loads(said)}
        assert found["Kafka's disk"]["because"].endswith(", 3 replicas (configured)")
        assert run(config_file, "create-topics", "--partitions", "2", "--replication-factor", "1", *options)[0] == 0
        _, said = run(config_file, "plan", "--json", *options)
        found = {need["what"]: need for need in json.loads(said)}
    assert found["Kafka's disk"]["because"].endswith(", 1 replica")
    assert found["partitions of the topic"]["have"] == 2


@pytest.fixture
def ready(config: Config) -> Config:
    create_database(config.database)
    list(create_schema(config.database, dt.date(2026, 3, 1)))
    return config


ROWS = """
    INSERT INTO monitoring.availability_result (target_id, scheduled_at, started_at, finished_at,
        certificate_expires_at, producer_id, body_bytes, queue_delay_s, dns_s, connect_s, tls_s, first_byte_s,
        transfer_s, response_time_s, http_status, regexp_matched, location, status, remote_address)
    SELECT i %% 1000, '2026-03-01Z'::timestamptz + i / 1000 * interval '1 min', now(), now(), now(), 1, 1000, 0, 0,
        0, 0, 0, 0, 0, 200, true, 'default', 'up', '192.0.2.7:443'
    FROM generate_series(0, %s) i"""


@pytest.mark.integration_test
def test_the_size_of_a_row_is_the_tables_own(ready: Config) -> None:
    """Once there are enough rows it is measured; the documented estimate is close to that of websites that are up."""
    assert read_row_bytes(ready.database) is None
    with connect(ready.database, "test", autocommit=True) as connection:
        connection.execute(ROWS, (99_999,))
        connection.execute("ANALYZE monitoring.availability_result")
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree("
            "'monitoring.availability_result') WHERE isleaf AND pg_relation_size(relid) > 0"
        ).fetchone()
    assert row
    measured = read_row_bytes(ready.database)
    assert measured == pytest.approx(float(row[0]) / 100_000, rel=0.05)
    assert Costs(check_us=1).row_bytes == pytest.approx(measured, rel=0.25)


@pytest.mark.integration_test
def test_a_plan_of_what_there_is(ready: Config, config_file: Path) -> None:
    """Active targets, by their own intervals; and PostgreSQL's connections."""
    with connect(ready.database, "test") as connection:
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_url, amc_active, amc_check_interval_s) "
            "SELECT 'http://' || i, i % 10 > 0, CASE WHEN i % 2 = 0 THEN 30 END FROM generate_series(1, 100) i"
        )
    status, said = run(config_file, "plan", "--json")
    found = {need["what"]: need for need in json.loads(said)}
    assert status == 0
    assert found["active targets"]["need"] == 90
    assert found["checks a second"]["need"] == pytest.approx(40 / 30 + 50 / 60)
    assert found["connections to PostgreSQL"]["have"] == 97
    with connect(ready.database, "test") as connection:
        connection.execute("UPDATE monitoring.availability_monitor_config SET amc_active = true")
    status, said = run(config_file, "plan", "--set", "monitor.websites_per_container=1")
    assert (status, "→ allow 111, or raise monitor.websites_per_container" in said) == (1, True)


@pytest.mark.integration_test
def test_the_count_is_watched(ready: Config, config_file: Path) -> None:
    """A line when it starts and one for each change, until it is stopped."""
    command = [sys.executable, "-c", "from dbadmin.cli import main; main()", "producer-count", "--watch", "--json"]
    arguments = ["--every", "10ms", "--config", str(config_file), "--set", "monitor.websites_per_container=2"]
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True, env=environ) as watching:
        assert watching.stdout
        try:
            assert json.loads(watching.stdout.readline())["producers"] == 0
            with connect(ready.database, "test", autocommit=True) as connection:
                for number, producers in ((1, 1), (2, 1), (3, 2)):
                    connection.execute(
                        "INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES (%s)",
                        (f"http://{number}/",),
                    )
                    said = json.loads(watching.stdout.readline())
                    assert said == {"active": number, "websites_per_container": 2, "producers": producers}
        finally:
            watching.send_signal(signal.SIGINT)
