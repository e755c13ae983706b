"""A Docker engine with the images, and a Kubernetes with them. In CI they must be there; elsewhere tests skip."""

from __future__ import annotations

import os

import pytest

from monitoring_testkit.needs import cannot_run, need
from monitoring_testkit.servers import postgresql
from monitoring_testkit.servers.apache_kafka import ApacheKafka

from .engine import DEFAULT_BASE, IMAGES, ROOT, STAND_IN, DockerEngine, blocks


@pytest.fixture(scope="session")
def engine() -> DockerEngine:
    found = DockerEngine(os.environ.get("DOCKER") or "docker")
    if why := found.missing:
        cannot_run(f"no Docker engine: {why}")
    return found


@pytest.fixture(scope="session")
def base_image(engine: DockerEngine) -> str:
    if engine.pulled(DEFAULT_BASE):
        return DEFAULT_BASE
    if not os.environ.get("CI"):
        pytest.skip(f"{DEFAULT_BASE} cannot be pulled")
    if not engine.has(STAND_IN):
        engine.make_stand_in()
    return STAND_IN


@pytest.fixture(scope="session")
def images(engine: DockerEngine, base_image: str) -> DockerEngine:
    """The engine with all images, built as documented."""
    commands = "".join(blocks(ROOT / "infra/README.md", "Images")).splitlines()
    assert len(commands) == len(IMAGES)
    for command in commands:
        engine.build(command, base_image)
    return engine


@pytest.fixture(scope="session")
def secured_servers() -> None:
    """What the secured servers need is installed."""
    need("real Apache Kafka", ApacheKafka.missing())
    need("PostgreSQL with TLS", postgresql.missing())
