"""Secrets that are replaced while the services run, as Kubernetes replaces mounted files: no restart, no loss."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import attrs
import psycopg
import pytest
import trustme
from confluent_kafka import Producer

from local_stack.processes import Child, Service, free_port, script
from monitoring_core.codec import encode, encode_key
from monitoring_core.testing.builders import make_result
from monitoring_testkit.needs import need
from monitoring_testkit.servers.apache_kafka import ApacheKafka
from monitoring_testkit.servers.certificates import KafkaTls, kafka_tls, pem_pair
from monitoring_testkit.servers.postgresql import missing
from monitoring_testkit.servers.secured import Secured
from monitoring_testkit.servers.tls_postgresql import tls_postgresql
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.end_to_end

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


@attrs.define
class Mounted:
    """A folder of secrets as Kubernetes mounts one: each name is a link through `..data` to the present version."""

    folder: Path
    version: int = 0

    def replace(self, files: dict[str, str]) -> None:
        """Put a new version of all files in place of the present one, at once."""
        self.version += 1
        new = self.folder / f"..{self.version}"
        new.mkdir(parents=True)
        for name, text in files.items():
            (new / name).write_text(text)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        (self.folder / "..new").symlink_to(new.name)
        (self.folder / "..new").replace(self.folder / "..data")
        if self.version > 1:
            shutil.rmtree(self.folder / f"..{self.version - 1}")


@attrs.define
class World:
    """Servers that want certificates and passwords, and the secrets of their clients."""

    secured: Secured
    kafka: ApacheKafka
    authority: trustme.CA
    mounted: Mounted
    admin: KafkaTls
    first_ends: dt.datetime

    def secrets(self, password: str, ends: dt.datetime | None = None) -> None:
        """Give the services a new password and a new certificate."""
        chain, key = pem_pair(self.authority.issue_cert("client.monitoring.example", not_after=ends))
        self.mounted.replace({"service.cert": chain, "service.key": key, "password": password})

    def publish(self, first: int, count: int) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, **self.admin.client_settings()})
        for number in range(first, first + count):
            result = make_result(target_id=number, scheduled_at=NOW, location="here")
            producer.produce("website_availability", encode(result), encode_key(result))
        assert producer.flush(30) == 0

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        database = self.secured.database
        with psycopg.connect(
            host=database.postgres.host,
            port=database.postgres.port,
            user=database.postgres.user,
            password=database.superuser_password,
            dbname="monitoring",
            sslmode="require",
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def stored(self, count: int) -> bool:
        return self.sql("SELECT count(*) FROM monitoring.availability_result WHERE location = 'here'") == [(count,)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    need("real Apache Kafka", ApacheKafka.missing())
    need("PostgreSQL with TLS", missing())
    authority, mounted = trustme.CA(), Mounted(tmp_path / "mounted")
    admin = kafka_tls(tmp_path, authority)
    kafka = ApacheKafka(tmp_path, admin)
    of_services = attrs.evolve(
        admin, access_certificate=mounted.folder / "service.cert", access_key=mounted.folder / "service.key"
    )
    with tls_postgresql(authority.issue_cert("127.0.0.1")) as database:
        kafka.start()
        secured = Secured(tmp_path, database, kafka.bootstrap_servers, of_services)
        # Time enough for the services to start and to store what comes first.
        first_ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90)
        made = World(secured, kafka, authority, mounted, admin, first_ends)
        made.secrets("first-password", first_ends)
        secured.write_config(
            {
                "consumer": {"session_timeout": "6s"},
                "monitor": {"outbox_directory": str(tmp_path / "outbox")},
                "roles": {
                    "consumer_password": {"file": str(mounted.folder / "password")},
                    "producer_password": {"file": str(mounted.folder / "password")},
                },
            }
        )
        yield made
        kafka.stop()


def test_secrets_are_replaced_without_a_restart(world: World, website: str) -> None:
    """A password that the server no longer takes, and a certificate that has ended; each for producer and consumer."""
    dbadmin(world.secured, "setup")
    dbadmin(world.secured, "targets", "add", website)
    services = [start(world.secured, "producer-svc", "--id", "1"), start(world.secured, "consumer-svc")]
    said = lambda: "\n".join(service.child.last_lines(20) for service in services)  # noqa: E731
    try:
        for service in services:
            service.wait_until_ready()
        world.publish(1, 100)
        until(lambda: world.stored(100), what=said)

        world.secrets("another-password")
        dbadmin(world.secured, "create-roles")
        world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'monitoring%'")
        world.publish(101, 100)
        until(lambda: world.stored(200), what=said)

        # By now the services have their new certificate; the broker forgets all connections, and the old one has ended.
        until(lambda: "secrets have changed" in services[0].child.last_lines(50), what=said)
        until(lambda: "secrets have changed" in services[1].child.last_lines(50), what=said)
        until(lambda: dt.datetime.now(dt.UTC) > world.first_ends + dt.timedelta(seconds=2), 100)
        world.kafka.stop()
        world.kafka.start()
        world.publish(201, 100)
        until(lambda: world.stored(300), what=said)
        for service in services:
            until(partial(is_ready, service), what=said)
    finally:
        statuses = [service.child.stop() for service in services]
    assert statuses == [0, 0]


def is_ready(service: Service) -> bool:
    return service.get("/readyz") is not None


def dbadmin(secured: Secured, *arguments: str) -> None:
    command = [script("dbadmin"), *arguments, "--config", str(secured.config_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def start(secured: Secured, name: str, *arguments: str) -> Service:
    port = free_port()
    env = os.environ | {"MONITORING__METRICS__PORT": str(port)}
    command = [script(name), "run", *arguments, "--config", str(secured.config_file)]
    return Service(Child(name, command, secured.directory / f"{name}.log", env), port)
