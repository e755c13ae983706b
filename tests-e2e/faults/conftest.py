"""Servers that can be broken, and pipelines between them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from monitoring_testkit.needs import need
from monitoring_testkit.servers.apache_kafka import ApacheKafka
from monitoring_testkit.servers.killable_postgresql import KillablePostgresql
from monitoring_testkit.servers.postgresql_proxy import PostgresqlProxy

from .disks import small_disk
from .pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = itertools.count(1)


def made(
    directory: Path, kafka: ApacheKafka, postgres: KillablePostgresql, proxy: PostgresqlProxy | None = None
) -> Iterator[Pipeline]:
    """A pipeline with a topic and a schema of its own, set up."""
    pipeline = Pipeline(directory, kafka, postgres, f"faults_{next(_numbers)}", proxy)
    pipeline.set_up()
    yield pipeline
    pipeline.close()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    need("real Apache Kafka", ApacheKafka.missing())
    server = ApacheKafka(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillablePostgresql]:
    server = KillablePostgresql(tmp_path_factory.mktemp("postgres"))
    yield server
    server.close()


@pytest.fixture
def pipeline(kafka: ApacheKafka, postgres: KillablePostgresql, tmp_path: Path) -> Iterator[Pipeline]:
    yield from made(tmp_path, kafka, postgres)


@pytest.fixture
def proxy(postgres: KillablePostgresql) -> Iterator[PostgresqlProxy]:
    """Between consumers and PostgreSQL."""
    proxy = PostgresqlProxy(postgres.socket_path)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(
    kafka: ApacheKafka, postgres: KillablePostgresql, proxy: PostgresqlProxy, tmp_path: Path
) -> Iterator[Pipeline]:
    """A pipeline whose consumers reach PostgreSQL through a proxy."""
    yield from made(tmp_path, kafka, postgres, proxy)


@pytest.fixture
def restorable(kafka: ApacheKafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline whose PostgreSQL no other test uses."""
    server = KillablePostgresql(tmp_path / "data")
    yield from made(tmp_path, kafka, server)
    server.close()


@pytest.fixture
def replicated(kafka: ApacheKafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline whose PostgreSQL no other test uses, and whose consumers find its successor through a proxy."""
    server = KillablePostgresql(tmp_path / "data")
    proxy = PostgresqlProxy(server.socket_path)
    yield from made(tmp_path, kafka, server, proxy)
    proxy.close()
    server.close()


@pytest.fixture
def on_small_disk(kafka: ApacheKafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline whose PostgreSQL has a disk of 200 MB to itself."""
    with small_disk(tmp_path / "disk", 200) as disk:
        server = KillablePostgresql(disk / "data")
        yield from made(tmp_path, kafka, server)
        server.close()
