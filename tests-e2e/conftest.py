"""Stacks on the embedded broker and on a real Apache Kafka."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from local_stack.servers import ApacheKafka, embedded_broker, embedded_postgresql
from local_stack.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _apache_kafka(directory: Path) -> Iterator[str]:
    if missing := ApacheKafka.missing():
        if os.environ.get("CI"):
            pytest.fail(f"no real Apache Kafka can be started: {missing}")
        pytest.skip(f"no real Apache Kafka can be started: {missing}")
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
