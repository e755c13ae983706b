"""A consumer between a real Apache Kafka and a real PostgreSQL, and every row that there must be in the end."""

from __future__ import annotations

import contextlib
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import attrs
import yaml
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from local_stack.processes import Child, Service, free_port, script
from monitoring_core.codec import encode, encode_key
from monitoring_core.result import Status
from monitoring_testkit import topics
from monitoring_testkit.waiting import until

from .published import COLUMNS, Key, Row, row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from monitoring_core.result import CheckResult
    from monitoring_testkit.servers.apache_kafka import ApacheKafka
    from monitoring_testkit.servers.killable_postgresql import KillablePostgresql
    from monitoring_testkit.servers.postgresql_proxy import PostgresqlProxy

PARTITIONS = 4
BATCH_ROWS = 300


@attrs.define
class Pipeline:
    """A topic, a table, the services at both, and what every row must be.

    Attributes:
        proxy: by which consumers reach PostgreSQL; None for its socket.
        settings: of the consumers.
        monitor: settings of the producers.
        expected: the row of each result that was published, by its key.
    """

    directory: Path
    kafka: ApacheKafka
    postgres: KillablePostgresql
    name: str
    proxy: PostgresqlProxy | None = None
    settings: dict[str, object] = attrs.field(factory=dict)
    monitor: dict[str, object] = attrs.field(factory=dict)
    expected: dict[Key, Row] = attrs.field(factory=dict)
    services: dict[str, Service] = attrs.field(factory=dict)
    _producer: Producer | None = None

    @property
    def table(self) -> str:
        """The table of results, with its schema."""
        return f"{self.name}.availability_result"

    @property
    def dead_letter_topic(self) -> str:
        """The topic of what cannot be stored."""
        return f"{self.name}.dlq"

    @property
    def alert_topic(self) -> str:
        """The topic of alerts."""
        return f"{self.name}.alerts"

    def set_up(self) -> None:
        """Make the topics and the tables."""
        self._write_config("setup")
        command = [script("dbadmin"), "setup", "--config", str(self.directory / "setup.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    def publish(self, values: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Put messages, keys and values, into the topic; acknowledged when this returns."""
        if self._producer is None:
            self._producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "linger.ms": 20})
        for key, value in values:
            while True:
                try:
                    self._producer.produce(self.name, value, key)
                    break
                except BufferError:
                    self._producer.poll(0.1)
        assert self._producer.flush(60) == 0

    def publish_results(self, results: Iterable[CheckResult]) -> None:
        """Publish results, and expect a row of each."""
        encoded = []
        for result in results:
            encoded.append((encode_key(result), encode(result)))
            known = self.expected.get(result.key)
            # A real result replaces an unknown one, and nothing else does.
            if known is None or (known[4] == "unknown" and result.status is not Status.UNKNOWN):
                self.expected[result.key] = row_of(result)
        self.publish(encoded)

    def consumer(self, name: str = "1", **settings: object) -> Service:
        """Start a consumer."""
        config = self._write_config(name, settings)
        return self._start(name, f"consumer-{name}", ["consumer-svc", "run"], config)

    def producer(self, name: str, producer_id: str = "1", env: Mapping[str, str] | None = None) -> Service:
        """Start a producer."""
        config = self._write_config(name)
        return self._start(name, f"producer-{name}", ["producer-svc", "run", "--id", producer_id], config, env)

    def alerts(self, name: str, policies: Path) -> Service:
        """Start a process that decides about alerts."""
        config = self._write_config(name)
        return self._start(name, f"alerts-{name}", ["alert-svc", "run", "--policies", str(policies)], config)

    def command(self, *arguments: str) -> str:
        """Run a command of the consumer; its output."""
        command = [script("consumer-svc"), *arguments, "--config", str(self._write_config("command"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stored(self) -> int:
        """The number of rows."""
        with self.postgres.connect() as connection:
            # One test gives the database a time limit, which is meant for consumers.
            connection.execute("SET statement_timeout = 0")
            row = connection.execute(f"SELECT count(*) FROM {self.table}").fetchone()
        return int(row[0]) if row else 0

    def until_stored(self, count: int | None = None, timeout_s: float = 120.0) -> None:
        """Wait until there are at least `count` rows, by default as many as are expected."""
        wanted = len(self.expected) if count is None else count
        until(lambda: self.stored() >= wanted, timeout_s, lambda: f"{wanted} rows, {self.logs()}")

    def compare(self) -> None:
        """Stop the services in order, and compare every row with what was published."""
        for service in self.services.values():
            if service.child.status is None:
                assert service.child.stop() == 0, self.logs()
        with self.postgres.connect() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM {self.table}").fetchall()
        found = {tuple(row[:3]): tuple(row) for row in rows}
        counts = {
            "rows": len(rows),
            "distinct": len(found),
            "missing": len(self.expected.keys() - found.keys()),
            "extra": len(found.keys() - self.expected.keys()),
            "altered": sum(1 for key, row in found.items() if self.expected.get(key, row) != row),
        }
        size = len(self.expected)
        assert counts == {"rows": size, "distinct": size, "missing": 0, "extra": 0, "altered": 0}, self.logs()

    def dead_letters(self) -> Counter[tuple[bytes | None, str]]:
        """The distinct dead letters by original place: how often each value and reason is there."""
        found = {}
        for message in self.messages(self.dead_letter_topic):
            headers = topics.headers(message)
            place = headers["original_partition"], headers["original_offset"]
            found[place] = (message.value(), headers["reason"])
        return Counter(found.values())

    def messages(self, topic: str) -> list[Message]:
        """All that is in a topic."""
        return topics.messages(self.kafka.bootstrap_servers, topic)

    def unread(self) -> int:
        """Messages whose offsets are not committed."""
        group = str(self.settings.get("group_id", self.name))
        settings = {"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": group}
        with contextlib.closing(Consumer(settings)) as consumer:
            try:
                places = consumer.committed([TopicPartition(self.name, p) for p in range(PARTITIONS)], 10)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.NOT_COORDINATOR:
                    raise
                places = [TopicPartition(self.name, p, 0) for p in range(PARTITIONS)]  # the coordinator starts
            return sum(consumer.get_watermark_offsets(p, 10)[1] - max(0, p.offset) for p in places)

    def logs(self) -> str:
        """The last lines of every service."""
        return "\n".join(
            f"--- {s.child.name} {s.child.status}\n{s.child.last_lines(12)}" for s in self.services.values()
        )

    def close(self) -> None:
        """End the services that still run."""
        for service in self.services.values():
            service.child.kill()

    def _start(
        self, name: str, log: str, command: list[str], config: Path, env: Mapping[str, str] | None = None
    ) -> Service:
        program, *arguments = command
        port = free_port()
        words = [script(program), *arguments, "--config", str(config)]
        variables = {"MONITORING__METRICS__PORT": str(port), **(env or {})}
        child = Child(f"{program} {name}", words, self.directory / f"{log}.log", variables)
        self.services[name] = Service(child, port)
        return self.services[name]

    def _write_config(self, name: str, settings: Mapping[str, object] | None = None) -> Path:
        host, port = ("127.0.0.1", self.proxy.port) if self.proxy else (self.postgres.host, 5432)
        consumer: dict[str, object] = {"group_id": self.name, "session_timeout": "2s", "batch_max_rows": BATCH_ROWS}
        consumer |= {"batch_max_age": "100ms", "shutdown_timeout": "10s"} | self.settings | dict(settings or {})
        content = {
            "kafka": {
                "bootstrap_servers": self.kafka.bootstrap_servers,
                "topic_name": self.name,
                "alert_topic_name": self.alert_topic,
                "partitions": PARTITIONS,
            },
            "database": {"host": host, "port": port, "user": "postgres", "schema": self.name, "sslmode": "disable"},
            "consumer": consumer,
            "monitor": self.monitor,
            "metrics": {"host": "127.0.0.1", "port": 0},
        }
        file = self.directory / f"{name}.yaml"
        file.write_text(yaml.safe_dump(content))
        return file
