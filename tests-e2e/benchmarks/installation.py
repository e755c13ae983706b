"""A real Apache Kafka and PostgreSQL for benchmarks, and targets for producers in them."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import attrs
import msgspec
import psycopg
import yaml
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from local_stack.processes import script
from local_stack.servers import Postgres, embedded_postgresql
from monitoring_core.errors import StopError
from monitoring_core.result import CheckResult
from monitoring_testkit.servers.apache_kafka import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg.rows import TupleRow

# More checks at once than there ever are while the website answers at once.
MANY = 300


@attrs.define
class Installation:
    """Real servers, and a folder for a producer's files."""

    directory: Path
    kafka: ApacheKafka
    postgres: Postgres

    def set_up(self, name: str, targets: int, url: str, interval_s: int) -> Path:
        """Make a schema with targets and a topic, both of this name; the configuration file."""
        content = {
            "monitor": {
                "websites_per_container": targets,
                "check_interval": f"{interval_s}s",
                "timeout": "900ms",
                "engine": "curl",
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
        file = self.directory / f"{name}.yaml"
        file.write_text(yaml.safe_dump(content))
        subprocess.run([script("dbadmin"), "setup", "--config", str(file)], check=True, capture_output=True)
        with self.connect() as connection:
            connection.execute(
                f"INSERT INTO {name}.availability_monitor_config (amc_url) "
                "SELECT %s || n FROM generate_series(1, %s) n",
                (url, targets),
            )
            connection.execute("VACUUM ANALYZE")
        return file

    def connect(self) -> psycopg.Connection[TupleRow]:
        return psycopg.connect(
            host=self.postgres.host,
            port=self.postgres.port,
            user=self.postgres.user,
            dbname="monitoring",
            autocommit=True,
        )

    def results(self, topic: str) -> Iterator[CheckResult]:
        """All results of a topic."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": "bench"})
        partition = TopicPartition(topic, 0, 0)
        left = consumer.get_watermark_offsets(partition, 10)[1]
        consumer.assign([partition])
        decoder = msgspec.json.Decoder(CheckResult, strict=False)
        while left > 0:
            for message in consumer.consume(5_000, 5.0):
                yield decoder.decode(message.value() or b"")
                left -= 1
        consumer.close()


@contextlib.contextmanager
def installed(directory: Path) -> Iterator[Installation]:
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
