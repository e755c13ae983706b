"""The main job: targets in PostgreSQL, checks, Kafka, rows in PostgreSQL; by the real services as processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from local_stack.comparison import compare
from local_stack.processes import Service, script
from local_stack.servers import connect
from local_stack.stack import DATABASE, Stack
from monitoring_testkit import topics
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.end_to_end

TOPIC = "website_availability"


def published(stack: Stack, topic: str = TOPIC) -> set[tuple[int, str, str]]:
    """The identities of all results in the topic."""
    return {(m["target_id"], m["scheduled_at"], m["location"]) for m in map(json.loads, messages(stack, topic))}


def messages(stack: Stack, topic: str) -> list[bytes]:
    """The values of all messages of a topic."""
    return [message.value() or b"" for message in topics.messages(stack.bootstrap_servers, topic)]


def stored(stack: Stack) -> int:
    with connect(stack.postgres, DATABASE) as connection:
        row = connection.execute("SELECT count(*) FROM monitoring.availability_result").fetchone()
    return int(row[0]) if row else 0


def has_stored(stack: Stack, count: int) -> bool:
    return stored(stack) >= count


def started(stack: Stack, website: str, *ids: str) -> list[Service]:
    """Fifteen targets, a consumer, and producers with these ids, all ready."""
    stack.import_targets([{"url": f"{website}/{i}", "regexp": "OK"} for i in range(15)])
    stack.start("consumer-svc")
    producers = [stack.start(f"producer-svc {name}", "--id", name.split()[0]) for name in ids]
    for producer in producers:
        producer.wait_until_ready()
    return producers


def end(producers: list[Service]) -> int:
    """Stop producers in order; the moment of it, milliseconds since the epoch."""
    end_ms = time.time_ns() // 1_000_000
    for producer in producers:
        producer.child.signal(signal.SIGTERM)
    assert [producer.child.wait() for producer in producers] == [0] * len(producers)
    return end_ms


def test_every_check_that_is_due_becomes_one_row(stack: Stack, website: str) -> None:
    """From target to row, with two producers: nothing missing, nothing double, and up since they came."""
    began = time.time()
    producers = started(stack, website, "1", "2")
    ready = time.time()
    since = {i: p.metric("producer_accounted_since_seconds") for i, p in enumerate(producers, start=1)}
    until(lambda: stored(stack) >= 60)
    windows = stack.windows(since, end(producers))
    until(lambda: compare(windows, stack.rows(began), {}).missing == 0)
    result = compare(windows, stack.rows(began), {})
    assert (result.missing, result.duplicates) == (0, 0)
    assert result.due >= 45
    rows = stack.rows(began)
    assert {(row.status, row.reason) for row in rows if row.scheduled_at.timestamp() > ready} == {("up", None)}
    assert {(row.status, row.reason) for row in rows} <= {("up", None), ("unknown", "missed_window")}


def test_a_target_that_sql_makes_invalid_has_a_row_for_every_slot(stack: Stack, website: str) -> None:
    """Rows that say what is wrong, while it is wrong, and real ones before and after; the status says so too."""
    began = time.time()
    (producer,) = started(stack, website, "1")
    since = {1: producer.metric("producer_accounted_since_seconds"), 2: 1e11}  # no producer has ID 2
    statement = "UPDATE monitoring.availability_monitor_config SET amc_regexp = {} WHERE amc_id = 3"
    shown = "SELECT status, reason, error FROM monitoring.website_status WHERE target_id = 3"
    error = "regexp: is not a regular expression that RE2 takes: missing ): ("
    with connect(stack.postgres, DATABASE) as connection:
        connection.autocommit = True
        for regexp, verdict in (("'('", ("unknown", "invalid_target", error)), ("'OK'", ("up", None, None))):
            until(lambda: has_stored(stack, stored(stack) + 1))
            connection.execute(statement.format(regexp).encode())
            until(lambda wanted=verdict: connection.execute(shown).fetchall() == [wanted])  # type: ignore[misc]
    windows = stack.windows(since, end([producer]))
    until(lambda: compare(windows, stack.rows(began), {}).missing == 0)
    result = compare(windows, stack.rows(began), {})
    assert (result.missing, result.duplicates) == (0, 0)
    rows = stack.rows(began)
    invalid = {row.target_id for row in rows if row.reason == "invalid_target"}
    assert invalid == {3}
    assert {(row.status, row.reason) for row in rows} <= {
        ("up", None),
        ("unknown", "missed_window"),
        ("unknown", "invalid_target"),
    }


def test_of_two_producers_with_the_same_id_one_stands_by_and_takes_over(stack: Stack, website: str) -> None:
    """Even when the first only stood still, and goes on when the second has begun: no slot is missing or double."""
    began = time.time()
    (first,) = started(stack, website, "1")
    since = {1: first.metric("producer_accounted_since_seconds"), 2: 1e11}  # no producer has ID 2
    second = stack.start("producer-svc again", "--id", "1")
    until(lambda: second.get("/healthz") is not None)
    until(lambda: stored(stack) >= 10)
    assert (first.metric("producer_id"), second.metric("producer_id")) == (1, 0)
    first.child.signal(signal.SIGSTOP)
    until(lambda: second.metric("producer_id") == 1)
    first.child.signal(signal.SIGCONT)
    until(lambda: first.metric("producer_id") == 0)
    more = stored(stack) + 20
    until(lambda: stored(stack) >= more)
    windows = stack.windows(since, end([second, first]))
    until(lambda: compare(windows, stack.rows(began), {}).missing == 0)
    result = compare(windows, stack.rows(began), {})
    assert (result.missing, result.duplicates) == (0, 0)
    assert {(row.status, row.reason) for row in stack.rows(began)} <= {("up", None), ("unknown", "missed_window")}


def test_a_consumer_killed_or_stopped_in_the_middle_loses_and_doubles_nothing(stack: Stack, website: str) -> None:
    """Counted against what was published: SIGKILL, then SIGTERM, each followed by a new start."""
    producers = started(stack, website, "1", "2")
    for number in (signal.SIGKILL, signal.SIGTERM):
        until(partial(has_stored, stack, stored(stack) + 20))
        stack.services["consumer-svc"].child.signal(number)
        stack.services["consumer-svc"].child.wait()
        stack.start("consumer-svc")
    end(producers)
    identities = published(stack)
    until(lambda: stored(stack) == len(identities))
    assert stack.services["consumer-svc"].child.stop() == 0
    assert stored(stack) == len(identities)


def test_poison_goes_to_the_dead_letters_and_the_rest_is_stored(stack: Stack, website: str) -> None:
    """A message that is no result is kept, unchanged, and holds nobody up."""
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    for poison in (b"not JSON", b'{"schema_version": 9}', b""):
        producer.produce(TOPIC, poison, b"1")
    assert producer.flush(10) == 0
    producers = started(stack, website, "1")
    until(lambda: stored(stack) >= 10)
    end(producers)
    until(lambda: len(messages(stack, f"{TOPIC}.dlq")) == 3)
    assert sorted(messages(stack, f"{TOPIC}.dlq")) == [b"", b"not JSON", b'{"schema_version": 9}']


def test_with_nothing_listening_services_say_so_and_keep_trying(tmp_path: Path) -> None:
    """One plain line with the address that was tried, no traceback, and an orderly stop."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "kafka: {bootstrap_servers: '127.0.0.1:1'}\ndatabase: {host: 127.0.0.1, port: 1, user: u}\n"
        "metrics: {enabled: false}\nlogging: {format: json}\n"
        f"monitor: {{outbox_directory: '{tmp_path / 'outbox'}'}}\n"
    )
    for command in (["producer-svc", "run", "--id", "1"], ["consumer-svc", "run"]):
        process = subprocess.Popen(
            [script(command[0]), *command[1:], "--config", str(config)], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr
        lines = [json.loads(process.stderr.readline()) for _ in range(2)]
        process.terminate()
        assert process.wait(60) == 0
        assert lines[0]["event"] == "starting"
        assert "127.0.0.1:1 cannot be reached" in lines[1]["error"]
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    "command",
    [
        "producer-svc run --id 1",
        "consumer-svc run",
        "dbadmin setup",
        "dbadmin create-schema",
        "dbadmin create-topics",
        "dbadmin producer-count",
        "dbadmin targets list",
    ],
)
def test_a_wrong_configuration_stops_every_command_with_status_2(command: str, tmp_path: Path) -> None:
    """Before it connects anywhere, with the file, the line and the path."""
    (tmp_path / "config.yaml").write_text("monitor:\n  timeout: 90s\nkafka: {bootstrap_servers: 'k:1'}\n")
    name, *arguments = command.split()
    done = subprocess.run(
        [script(name), *arguments, "--config", "config.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [
            "config.yaml database.host: is required",
            "config.yaml database.user: is required",
            "config.yaml:2 monitor.timeout: must be shorter than check_interval (60 s), got 90 s",
        ],
    )


def test_the_local_stack_watches_its_samples_and_accounts_for_all() -> None:
    """`local-stack up` ends with status 0: nothing missing, nothing double, every sample judged as it deserves."""
    command = [script("local-stack"), "up", "--duration", "12s", "--interval", "3s", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    result = json.loads(done.stdout)
    assert (done.returncode, result["missing"], result["duplicates"], result["misjudged"]) == (0, 0, 0, [])
    assert result["targets"] >= 12
    assert result["due"] >= 2 * result["targets"]


def test_the_packages_install_and_run_from_wheels_alone(tmp_path: Path) -> None:
    """Each of the nine is built into a wheel; a clean environment needs nothing of the checkout."""
    root = Path(__file__).parents[1]
    packages = [*sorted((root / "libs").iterdir()), *sorted((root / "services").iterdir())]
    # It does not ship: what ships must run without it.
    packages.remove(root / "libs" / "monitoring-testkit")
    # It needs a compiler, and a producer can do without it.
    packages.remove(root / "libs" / "probe-transport")
    wheels = tmp_path / "wheels"
    for package in packages:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
        subprocess.run(build, cwd=package, check=True, capture_output=True)
    assert len(list(wheels.glob("*.whl"))) == len(packages) == 9
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *map(str, wheels.glob("*.whl"))], check=True)
    for name in ("producer-svc", "consumer-svc", "dbadmin", "alert-svc", "status-svc", "local-stack"):
        done = subprocess.run(
            [python.with_name(name), "--version"], check=True, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.stdout.startswith(name)
