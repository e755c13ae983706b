"""An oracle: every event is in the topic at least once, and what compaction leaves is what the tables say."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from cloudevents.core.bindings import kafka as binding
from confluent_kafka.admin import AdminClient
from jsonschema import Draft202012Validator

from dbadmin.install.schema import create_schema
from dbadmin.install.topics import create_topics
from monitoring_alerting.event import json_schema
from monitoring_core.config import DatabaseConfig, KafkaConfig
from monitoring_testkit.alert_rows import store, transition
from monitoring_testkit.needs import need
from monitoring_testkit.servers.apache_kafka import ApacheKafka
from monitoring_testkit.servers.killable_postgresql import KillablePostgresql
from monitoring_testkit.topics import messages
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration_test
ROUNDS = range(5)
# After this time something hangs: as in test_alert_notifier_faults.
HANGS_S = 300.0
PROCESS = Path(__file__).with_name("publisher_process.py")
STATES = ("firing", "resolved", "undetermined", "flapping")
SCHEMA = Draft202012Validator(json_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)
_numbers = itertools.count(1)


class Oracle:
    """What was stored, and what is in the topic."""

    def __init__(self, server: KillablePostgresql, kafka: ApacheKafka, log: Path) -> None:
        self.kafka = kafka
        self.topic = f"alerts_{next(_numbers)}"
        self._server = server
        self._log = log
        self._number = 0

    def happen(self, websites: int) -> None:
        """Let websites go down, and half of them come back; let others be suspected, or be in a window."""
        rows: list[tuple[object, ...]] = []
        for _ in range(websites):
            self._number += 1
            number = self._number
            rows += [transition(number, "suspected", "ok"), transition(number, "firing", "suspected")]
            rows.append(transition(number, "firing", "suspected", episode=1, window=1))
            if number % 2:
                rows.append(transition(number, "resolved", "recovering"))
        with self._server.connect() as connection:
            store(connection, *rows)

    def change(self) -> None:
        """Let every alert that is open end, and each that has ended begin anew under the same identity."""
        with self._server.connect() as connection:
            newest = connection.execute(
                "SELECT DISTINCT ON (alert_id) target_id, state FROM monitoring.alert_transition "
                "WHERE silenced_window IS NULL ORDER BY alert_id, sequence DESC"
            ).fetchall()
            changed = [
                transition(number, "firing" if state == "resolved" else "resolved", state) for number, state in newest
            ]
            store(connection, *changed)

    def start(self, when: str = "never", number: str = "SIGKILL") -> subprocess.Popen[bytes]:
        """A publisher."""
        command = [sys.executable, str(PROCESS), self._server.host, self.kafka.bootstrap_servers, self.topic]
        with self._log.open("ab") as log:
            return subprocess.Popen([*command, number, when], stderr=log, stdout=log)

    @contextmanager
    def process(self) -> Iterator[subprocess.Popen[bytes]]:
        """A publisher, killed at the end of the block."""
        made = self.start()
        try:
            yield made
        finally:
            made.kill()
            made.wait()

    def killed(self, when: str) -> None:
        """A publisher that is killed at its first event."""
        made = self.start(when)
        until(lambda: made.poll() is not None, HANGS_S, self._state)
        assert made.returncode == -signal.SIGKILL, self._state()

    def until_all_is_published(self) -> None:
        """Wait until nothing is left to do."""
        until(lambda: self._left() == 0, HANGS_S, self._state)

    def check(self) -> int:
        """Compare what is in the topic with the tables; returns how many messages are repeats."""
        with self._server.connect() as connection:
            stored = connection.execute(
                "SELECT transition_id, alert_id, state FROM monitoring.alert_transition WHERE state = ANY (%s) "
                "ORDER BY sequence",
                (list(STATES),),
            ).fetchall()
        found = messages(self.kafka.bootstrap_servers, self.topic)
        seen: dict[str, set[tuple[object, ...]]] = {}
        compacted: dict[str, tuple[str, str]] = {}
        for message in found:
            event, data = read(message)
            seen.setdefault(event.get_id(), set()).add((message.key(), message.value(), str(message.headers())))
            compacted[(message.key() or b"").decode()] = event.get_id(), data["state"]
            assert event.get_type() == f"website_alert.{data['state']}"
            assert event.get_subject() == str(data["target_id"])
        assert seen.keys() == {transition_id for transition_id, _, _ in stored}
        assert {len(same) for same in seen.values()} == {1}
        assert compacted == {alert_id: (transition_id, state) for transition_id, alert_id, state in stored}
        return len(found) - len(seen)

    def _state(self) -> str:
        return f"{self._left()} left\n{self._log.read_text()[-2000:]}"

    def _left(self) -> int:
        with self._server.connect() as connection:
            row = connection.execute(
                "SELECT count(*) FROM monitoring.alert_transition WHERE NOT published AND state = ANY (%s)",
                (list(STATES),),
            ).fetchone()
        return int(row[0]) if row else -1


def read(message: Any) -> tuple[Any, dict[str, Any]]:
    """The event of a message as the library of CloudEvents reads it, and its data, which the schema allows."""
    headers = {name: value for name, value in message.headers() or []}
    event = binding.from_binary_event(binding.KafkaMessage(headers, message.key(), message.value()))
    data = event.get_data()
    assert isinstance(data, dict)
    SCHEMA.validate(data)
    return event, data


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    need("real Apache Kafka", ApacheKafka.missing())
    server = ApacheKafka(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def oracle(killable: KillablePostgresql, kafka: ApacheKafka, tmp_path: Path) -> Oracle:
    with killable.connect() as connection:
        connection.execute("DROP SCHEMA IF EXISTS monitoring CASCADE")
    database = DatabaseConfig(host=killable.host, port=5432, user="postgres", database="monitoring")
    list(create_schema(database, dt.datetime.now(dt.UTC).date()))
    made = Oracle(killable, kafka, tmp_path / "log")
    list(create_topics(KafkaConfig(bootstrap_servers=kafka.bootstrap_servers, alert_topic_name=made.topic), 1, 1))
    return made


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_killed_at_every_step(oracle: Oracle, when: str) -> None:
    """What was published before the kill may come again with the same id; what was not, comes."""
    for _ in ROUNDS:
        oracle.happen(3)
        oracle.change()
        oracle.killed(when)
    with oracle.process():
        oracle.until_all_is_published()
    repeats = oracle.check()
    assert (repeats > 0) == (when == "after")


def test_killed_at_any_moment(oracle: Oracle) -> None:
    """Two processes at a time, while alerts change."""
    chance = random.Random(22)
    for _ in ROUNDS:
        oracle.happen(20)
        with oracle.process(), oracle.process():
            for _ in range(3):
                oracle.change()
                time.sleep(chance.uniform(0.2, 1.5))
    with oracle.process():
        oracle.until_all_is_published()
    oracle.check()


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_a_process_that_stood_still_puts_no_old_state_behind_a_newer_one(oracle: Oracle, when: str) -> None:
    """Another one publishes meanwhile; what the first one held is refused when it goes on."""
    oracle.happen(3)
    frozen = oracle.start(when, "SIGSTOP")
    try:
        until(lambda: Path(f"/proc/{frozen.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        oracle.change()
        with oracle.process():
            oracle.until_all_is_published()
            frozen.send_signal(signal.SIGCONT)
            time.sleep(2.0)
            oracle.check()
            oracle.change()
            oracle.until_all_is_published()
        oracle.change()
        oracle.until_all_is_published()  # by the one that was frozen
    finally:
        frozen.kill()
        frozen.wait()
    oracle.check()


def test_kafka_and_postgresql_are_away(oracle: Oracle, killable: KillablePostgresql) -> None:
    """Events wait, and are published when both are back."""
    with oracle.process():
        for number in ROUNDS:
            if number % 2:
                oracle.kafka.kill()
                oracle.happen(3)
                time.sleep(1.0)
                oracle.kafka.start()
            else:
                oracle.happen(3)
                killable.kill()
                time.sleep(0.7)
                with pytest.raises(psycopg.OperationalError):
                    killable.connect()
                killable.start()
            oracle.change()
            oracle.until_all_is_published()
    oracle.check()


def test_events_wait_for_their_topic(oracle: Oracle) -> None:
    """Until dbadmin makes it."""
    admin = AdminClient({"bootstrap.servers": oracle.kafka.bootstrap_servers})
    admin.delete_topics([oracle.topic])[oracle.topic].result(60)
    oracle.happen(2)
    with oracle.process():
        time.sleep(2.0)
        config = KafkaConfig(bootstrap_servers=oracle.kafka.bootstrap_servers, alert_topic_name=oracle.topic)
        list(create_topics(config, 1, 1))
        oracle.until_all_is_published()
    oracle.check()
