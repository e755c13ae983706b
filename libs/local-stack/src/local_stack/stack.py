"""The stack: its servers and services, its configuration, and its database."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from local_stack.comparison import Row, Window
from local_stack.processes import Child, Service, free_port, script
from local_stack.servers import Postgres, connect, embedded_broker, embedded_postgresql
from local_stack.websites import MAX_BODY
from monitoring_core.errors import StopError
from monitoring_core.tables import RESULT_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from local_stack.receiver import Receiver

DATABASE = "monitoring"
# In a deployment every few minutes are enough; here somebody looks on.
MAINTAIN_EVERY_S = 10.0


@attrs.frozen
class ActiveTarget:
    """A target that is checked, and the moment from which on it is so, in milliseconds since the epoch."""

    id: int
    url: str
    interval_s: int
    active_since_ms: int


@attrs.define
class Stack:
    """The servers and services that run, and the folder that holds their files."""

    directory: Path
    postgres: Postgres
    bootstrap_servers: str
    interval_s: int
    timeout_s: float
    websites_per_container: int = 1_000
    services: dict[str, Service] = attrs.field(factory=dict, init=False)
    _maintaining: Child | None = attrs.field(default=None, init=False)
    _maintain_at: float = attrs.field(factory=time.monotonic, init=False)

    @property
    def config_file(self) -> Path:
        """The configuration of all services."""
        return self.directory / "config.yaml"

    def write_config(self) -> None:
        """Write the configuration."""
        content = {
            "monitor": {
                "websites_per_container": self.websites_per_container,
                "check_interval": f"{self.interval_s}s",
                "timeout": f"{self.timeout_s:g}s",
                "max_body": f"{MAX_BODY}B",
                "refresh_interval": "2s",
                "lease_duration": "3s",
                "outbox_directory": str(self.directory / "outbox"),
            },
            "kafka": {"bootstrap_servers": self.bootstrap_servers},
            "database": {"host": self.postgres.host, "port": self.postgres.port, "user": self.postgres.user},
            # The embedded broker lets a group begin after half of the session timeout.
            "consumer": {"session_timeout": "3s"},
            # Everything on the loopback, to whoever is on this machine.
            "status": {
                "host": "127.0.0.1",
                "title": "Websites",
                "anonymous_read": True,
                "public_labels": {},
                "cache": "1s",
                "requests_per_minute": 100_000,
            },
            "metrics": {"host": "127.0.0.1", "port": 0},
        }
        new = self.config_file.with_suffix(".new")
        new.write_text(yaml.safe_dump(content, sort_keys=False))
        new.replace(self.config_file)

    def dbadmin(self, *arguments: str) -> str:
        """Run dbadmin; returns its standard output.

        Raises:
            StopError: dbadmin did not end with status 0.
        """
        command = [script("dbadmin"), *arguments, "--config", str(self.config_file)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise StopError(f"dbadmin {' '.join(arguments)} ended with status {done.returncode}:\n{said}")
        return done.stdout

    def import_targets(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Import targets into the database."""
        file = self.directory / "targets.jsonl"
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
        self.dbadmin("targets", "import", str(file))

    def import_file(self, file: Path) -> None:
        """Import the targets of a file of the user's own, or apply them when it is YAML."""
        if file.suffix.lower() in (".yaml", ".yml"):
            self.dbadmin("targets", "apply", "--yes", "--file", str(file))
        else:
            self.dbadmin("targets", "import", str(file))

    def retire(self, label: str) -> None:
        """Deactivate the targets with this label."""
        with connect(self.postgres, DATABASE) as connection:
            connection.execute(
                "UPDATE monitoring.availability_monitor_config SET amc_active = false WHERE amc_labels ? %s", (label,)
            )

    def share_out(self, producers: int) -> int:
        """Share the active targets out among at most `producers` producers; returns how many producers get any.

        Raises:
            StopError: there is no active target.
        """
        targets = len(self.targets())
        if not targets:
            raise StopError("there is no active target to monitor")
        self.websites_per_container = -(-targets // producers)
        self.write_config()
        return -(-targets // self.websites_per_container)

    def start(self, name: str, *arguments: str) -> Service:
        """Start a service. Its name begins with that of its console script: "producer-svc 1"."""
        port = free_port()
        env = {"MONITORING__METRICS__PORT": str(port), "MONITORING__LOGGING__FORMAT": "json"}
        command = [script(name.partition(" ")[0]), "run", *arguments, "--config", str(self.config_file)]
        service = Service(Child(name, command, self.directory / f"{name}.log", env), port)
        self.services[name] = service
        return service

    def start_alerts(self, receiver: Receiver) -> Service:
        """Start alert-svc, which tells the receiver."""
        secret = self.directory / "webhook_secret"
        secret.touch(mode=0o600)
        secret.write_text(receiver.secret)
        policies = self.directory / "alerts.yaml"
        policies.write_text(receiver.alerts_yaml(str(secret)))
        return self.start("alert-svc", "--policies", str(policies))

    def start_status(self) -> str:
        """Start status-svc; returns the address of its pages."""
        port = free_port()
        self.start("status-svc", "--set", f"status.port={port}").wait_until_ready()
        return f"http://127.0.0.1:{port}/inner/"

    def maintain(self) -> None:
        """Start `dbadmin maintain`, which keeps the days and incidents of the pages, when it is due again.

        Raises:
            StopError: the last run has failed.
        """
        if self._maintaining and (status := self._maintaining.status) is not None:
            if status:
                raise StopError(f"dbadmin maintain ended with status {status}:\n{self._maintaining.last_lines()}")
            self._maintaining = None
        if not self._maintaining and time.monotonic() >= self._maintain_at:
            self._maintain_at = time.monotonic() + MAINTAIN_EVERY_S
            command = [script("dbadmin"), "maintain", "--config", str(self.config_file)]
            self._maintaining = Child("maintain", command, self.directory / "maintain.log")

    def start_producers(self, count: int) -> list[Service]:
        """Start producers 1 to `count`."""
        return [self.start(f"producer-svc {i}", "--id", str(i)) for i in range(1, count + 1)]

    def check_running(self) -> None:
        """Raise StopError when a service has ended by itself."""
        for service in self.services.values():
            if service.child.status is not None:
                raise StopError(
                    f"{service.child.name} ended with status {service.child.status}:\n{service.child.last_lines()}"
                )

    def stop_all(self) -> None:
        """Stop the services that still run, status-svc and producers first, and a run of `dbadmin maintain`."""
        for name in sorted(self.services, reverse=True):
            self.services[name].child.stop()
        if self._maintaining:
            self._maintaining.stop()

    def targets(self) -> list[ActiveTarget]:
        """The active targets, in order of id."""
        with connect(self.postgres, DATABASE) as connection:
            rows = connection.execute(
                "SELECT amc_id, amc_url, coalesce(amc_check_interval_s, %s), "
                "ceil(1000 * extract(epoch FROM amc_active_since))::bigint "
                "FROM monitoring.availability_monitor_config WHERE amc_active ORDER BY amc_id",
                (self.interval_s,),
            ).fetchall()
        return [ActiveTarget(*row) for row in rows]

    def windows(self, since: Mapping[int, float], end_ms: int) -> list[Window]:
        """The windows of all targets.

        Args:
            since: by producer ID, the moment from which the producer accounts for its slots, seconds since the epoch.
        """
        return [
            Window(
                target.id,
                target.interval_s,
                max(round(since[rank // self.websites_per_container + 1] * 1000), target.active_since_ms),
                end_ms,
            )
            for rank, target in enumerate(self.targets())
        ]

    def rows(self, since_s: float) -> list[Row]:
        """The rows of slots since a moment, seconds since the epoch."""
        with connect(self.postgres, DATABASE) as connection:
            found = connection.execute(
                f"SELECT target_id, scheduled_at, status, reason FROM monitoring.{RESULT_TABLE} "  # noqa: S608 (a constant)
                "WHERE scheduled_at >= to_timestamp(%s)",
                (since_s,),
            ).fetchall()
        return [Row(*row) for row in found]


@contextlib.contextmanager
def running_stack(directory: Path, interval_s: int, timeout_s: float) -> Iterator[Stack]:
    """A stack with its servers set up and no service started yet. All servers and services end with the block."""
    with contextlib.ExitStack() as servers:
        with ThreadPoolExecutor(1) as pool:
            broker = pool.submit(servers.enter_context, embedded_broker(directory))
            postgres = servers.enter_context(embedded_postgresql(directory / "postgres"))
            stack = Stack(directory, postgres, broker.result(), interval_s, timeout_s)
        stack.write_config()
        stack.dbadmin("setup")
        try:
            yield stack
        finally:
            stack.stop_all()
