"""A Docker engine with the three images, and a Kubernetes with them. In CI they must be there; elsewhere tests skip."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from local_stack import secured
from local_stack.servers import ApacheKafka

from .engine import DEFAULT_BASE, IMAGES, ROOT, STAND_IN, Engine, blocks


def not_here(why: str) -> NoReturn:
    """Fail in CI, skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def engine() -> Engine:
    found = Engine(os.environ.get("DOCKER") or "docker")
    if why := found.missing:
        not_here(f"no Docker engine: {why}")
    return found


@pytest.fixture(scope="session")
def base_image(engine: Engine) -> str:
    if engine.pulled(DEFAULT_BASE):
        return DEFAULT_BASE
    if not os.environ.get("CI"):
        pytest.skip(f"{DEFAULT_BASE} cannot be pulled")
    if not engine.has(STAND_IN):
        engine.make_stand_in()
    return STAND_IN


@pytest.fixture(scope="session")
def images(engine: Engine, base_image: str) -> Engine:
    """The engine with monitoring_producer, monitoring_consumer and monitoring_dbadmin, built as documented."""
    commands = "".join(blocks(ROOT / "infra/README.md", "Images")).splitlines()
    assert len(commands) == len(IMAGES)
    for command in commands:
        engine.build(command, base_image)
    return engine


@pytest.fixture(scope="session")
def secured_servers() -> None:
    """What the secured servers need is installed."""
    if missing := ApacheKafka.missing():
        not_here(f"no real Apache Kafka can be started: {missing}")
    if missing := secured.missing():
        not_here(f"no PostgreSQL with TLS can be started: {missing}")
