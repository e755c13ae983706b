"""A real Apache Kafka and PostgreSQL for benchmarks, and targets for producers in them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import attrs
import msgspec
import psycopg
import yaml
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from measure import PROBER_CORE, on_core

from local_stack.processes import Child, Service, free_port, script
from local_stack.servers import Postgres, embedded_postgresql
from monitoring_core.errors import StopError
from monitoring_core.result import CheckResult
from monitoring_testkit.servers.apache_kafka import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from psycopg.rows import TupleRow

# More checks at once than there ever are while the website answers at once.
MANY = 300


@attrs.frozen
class Stored:
    """What is in a topic of one partition."""

    bootstrap_servers: str
    topic: str
    up: bytes

    def end(self) -> int:
        """The offset of the next message."""
        with self._consumer() as consumer:
            return int(consumer.get_watermark_offsets(TopicPartition(self.topic, 0), 10)[1])

    def count_up(self, begin: int, end: int) -> int:
        """How many messages between two offsets say that a website is up."""
        return sum(1 for message in self.messages(begin, end) if self.up in message)

    def messages(self, begin: int, end: int) -> Iterator[bytes]:
        """The messages between two offsets."""
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(self.topic, 0, begin)])
            while begin < end:
                for message in consumer.consume(min(5_000, end - begin), 5.0):
                    yield message.value() or b""
                    begin += 1

    @contextlib.contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": "bench"})
        try:
            yield consumer
        finally:
            consumer.close()


@attrs.define
class Installation:
    """Real servers, and a folder for a producer's files."""

    directory: Path
    kafka: ApacheKafka
    postgres: Postgres

    def set_up(self, name: str, targets: int, url: str, interval_s: int, engine: str) -> Path:
        """Make a schema with targets and a topic, both of this name; the configuration file.

        Args:
            url: of every target, with its number in the place of {n}.

        Raises:
            StopError: dbadmin refuses the configuration.
        """
        file = self.directory / f"{name}.yaml"
        file.write_text(yaml.safe_dump(self._configuration(name, targets, interval_s, engine)))
        done = subprocess.run(
            [script("dbadmin"), "setup", "--config", str(file)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StopError(done.stderr.strip())
        with self.connect() as connection:
            connection.execute(
                f"INSERT INTO {name}.availability_monitor_config (amc_url) "
                "SELECT replace(%s, '{n}', n::text) FROM generate_series(1, %s) n",
                (url, targets),
            )
            connection.execute("VACUUM ANALYZE")
        return file

    def _configuration(self, name: str, targets: int, interval_s: int, engine: str) -> dict[str, dict[str, object]]:
        return {
            "monitor": {
                "websites_per_container": targets,
                "check_interval": f"{interval_s}s",
                "timeout": "900ms",
                "engine": str(engine),
                "max_concurrent_checks": MANY,
                "max_per_host": MANY,
                "outbox_directory": str(self.directory / f"{name}.outbox"),
            },
            "kafka": {"bootstrap_servers": self.kafka.bootstrap_servers, "topic_name": name, "partitions": 1},
            "database": {
                "host": self.postgres.host,
                "port": self.postgres.port,
                "user": self.postgres.user,
                "schema": name,
            },
            "metrics": {"host": "127.0.0.1", "port": 0},
        }

    def start_producer(self, producer: str, file: Path, env: Mapping[str, str] | None = None) -> Service:
        """A producer on a core of its own; `wait_until_ready` of what is returned waits for it."""
        port = free_port()
        # With bytecode, as in an installed package: the first command makes it.
        env = {"MONITORING__METRICS__PORT": str(port), "PYTHONDONTWRITEBYTECODE": "", **(env or {})}
        subprocess.run([producer, "run", "--help"], check=True, capture_output=True, env=os.environ | env)
        command = on_core(PROBER_CORE, [producer, "run", "--id", "1", "--config", str(file)])
        return Service(Child("producer-svc", command, file.with_suffix(".log"), env), port)

    def connect(self) -> psycopg.Connection[TupleRow]:
        return psycopg.connect(
            host=self.postgres.host,
            port=self.postgres.port,
            user=self.postgres.user,
            dbname="monitoring",
            autocommit=True,
        )

    def make_topic(self, topic: str) -> None:
        """A topic for results of others."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers})
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)

    def stored(self, topic: str, up: bytes) -> Stored:
        """The results in a topic; those of websites that are up contain these bytes."""
        return Stored(self.kafka.bootstrap_servers, topic, up)

    def results(self, topic: str) -> Iterator[CheckResult]:
        """All results of a topic."""
        stored = self.stored(topic, b"")
        decoder = msgspec.json.Decoder(CheckResult, strict=False)
        return (decoder.decode(message) for message in stored.messages(0, stored.end()))


@contextlib.contextmanager
def installed(directory: Path) -> Iterator[Installation]:
    """Both servers, for as long as the block, in this folder."""
    directory.chmod(0o755)
    for name in ("kafka", "postgres"):
        (directory / name).mkdir()
    kafka = ApacheKafka(directory / "kafka", optimised=True)
    kafka.start()
    try:
        with embedded_postgresql(directory / "postgres") as postgres:
            yield Installation(directory, kafka, postgres)
    finally:
        kafka.stop()
