"""A real Apache Kafka: one process (KRaft) that Java runs, its jars fetched by Maven once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from local_stack.processes import Child, free_port
from local_stack.servers import wait_for_kafka
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from monitoring_testkit.servers.certificates import KafkaTls

_POM = Path(__file__).with_name("pom.xml")
_CLUSTER_ID = "bW9uaXRvcmluZy1zdGFjaw"
# Java compiles once only, without optimising further: it starts in half the time, and a test is too short to profit.
_QUICK_START = "-XX:TieredStopAtLevel=1"
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # With the new group protocol, a killed member loses its partitions after 5 s, not after the default of 45 s.
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "5000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
}


class ApacheKafka:
    """An Apache Kafka that keeps its data and port over a restart.

    With `tls` only clients that have a certificate can connect.
    """

    def __init__(self, directory: Path, tls: KafkaTls | None = None, *, optimised: bool = False) -> None:
        """Make the broker's configuration and storage in `directory`; `start` starts the broker.

        Args:
            optimised: as in production, let Java optimise, which starts more slowly, and let the first members of a
                group wait for each other; for benchmarks.

        Raises:
            StopError: Maven cannot fetch the jars, or the storage cannot be made.
        """
        self._directory = directory
        self._java_options = [] if optimised else [_QUICK_START]
        self._properties = directory / "server.properties"
        self._child: Child | None = None
        self._client = tls.client_settings() if tls else {}
        port, controller = free_port(), free_port()
        self.bootstrap_servers = f"127.0.0.1:{port}"
        listener = "SSL" if tls else "PLAINTEXT"
        settings = _SETTINGS | {
            "listeners": f"{listener}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "inter.broker.listener.name": listener,
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "log.dirs": str(directory / "data"),
        }
        settings |= tls.broker_settings() if tls else {}
        if optimised:
            settings["group.initial.rebalance.delay.ms"] = "3000"
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        _java("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(self._properties), "--standalone")

    @staticmethod
    def missing() -> str | None:
        """What this machine lacks to run Apache Kafka, or None."""
        for program in ("java", "mvn"):
            if not shutil.which(program):
                return f"{program} is not installed"
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
        version = re.search(r'version "(\d+)', said)
        return None if version and int(version[1]) >= 17 else "Java is older than 17"

    def start(self) -> None:
        """Start the broker and wait until it answers.

        Raises:
            StopError: the broker ends instead; the text holds the last lines of its log.
        """
        command = ["java", "-Xmx512m", *self._java_options, "-cp", f"{jars()}/*"]
        command += ["kafka.Kafka", str(self._properties)]
        self._child = Child("Apache Kafka", command, self._directory / "kafka.log")
        wait_for_kafka(self.bootstrap_servers, self._child, client=self._client)

    def stop(self) -> None:
        """Stop the broker in order; `start` starts it again with the same data on the same port."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """Kill the broker with SIGKILL; `start` starts it again with the same data on the same port."""
        if self._child:
            self._child.kill()


def _java(*arguments: str) -> None:
    command = ["java", _QUICK_START, "-cp", f"{jars()}/*", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StopError(f"Apache Kafka: {' '.join(arguments[:2])} failed: {done.stderr[-500:]}")


def jars() -> Path:
    """The folder of Apache Kafka's jars, fetched by Maven the first time.

    Raises:
        StopError: Maven cannot fetch the jars.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "website-availability-monitor" / "kafka-4.1.0"
    if not (folder / "complete").exists():
        arguments = ["-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        done = subprocess.run(["mvn", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise StopError(f"Maven cannot fetch Apache Kafka: {(done.stdout + done.stderr)[-500:]}")
        (folder / "complete").touch()
    return folder
