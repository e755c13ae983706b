"""Stacks on the embedded broker and on a real Apache Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from local_stack.servers import embedded_broker, embedded_postgresql
from local_stack.stack import Stack
from monitoring_testkit.needs import need
from monitoring_testkit.servers.apache_kafka import ApacheKafka
from monitoring_testkit.servers.certificates import kafka_tls
from monitoring_testkit.servers.postgresql import missing
from monitoring_testkit.servers.secured import Secured
from monitoring_testkit.servers.tls_postgresql import tls_postgresql
from monitoring_testkit.websites import fine_website

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _apache_kafka(directory: Path) -> Iterator[str]:
    need("real Apache Kafka", ApacheKafka.missing())
    kafka = ApacheKafka(directory)
    kafka.start()
    yield kafka.bootstrap_servers
    kafka.stop()


def _embedded(directory: Path) -> Iterator[str]:
    with embedded_broker(directory) as servers:
        yield servers


@pytest.fixture
def apache_kafka(tmp_path: Path) -> Iterator[str]:
    yield from _apache_kafka(tmp_path)


@pytest.fixture(params=[_embedded, _apache_kafka], ids=["embedded broker", "Apache Kafka"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from request.param(tmp_path)


@pytest.fixture
def stack(broker: str, tmp_path: Path) -> Iterator[Stack]:
    """A stack that is set up, with no service yet."""
    with embedded_postgresql(tmp_path / "postgres") as postgres:
        made = Stack(tmp_path, postgres, broker, interval_s=1, timeout_s=0.8, websites_per_container=10)
        made.write_config()
        made.dbadmin("setup")
        yield made
        made.stop_all()


@pytest.fixture(scope="session")
def website() -> Iterator[str]:
    """The URL of a website that answers OK to everything."""
    with fine_website() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A fresh PostgreSQL with TLS and passwords and a fresh Apache Kafka with client certificates; nothing set up."""
    need("real Apache Kafka", ApacheKafka.missing())
    need("PostgreSQL with TLS", missing())
    directory, authority = tmp_path_factory.mktemp("secured"), trustme.CA()
    tls = kafka_tls(directory, authority)
    kafka = ApacheKafka(directory, tls)
    with tls_postgresql(authority.issue_cert("127.0.0.1")) as database:
        kafka.start()
        made = Secured(directory, database, kafka.bootstrap_servers, tls)
        made.write_config()
        yield made
        kafka.stop()
