"""A real PostgreSQL for the tests that need one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

from monitoring_core.config import Config, load_config
from monitoring_testkit.fixtures.postgresql import postgres, server

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["config", "config_file", "postgres", "server"]


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
