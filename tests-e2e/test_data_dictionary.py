"""The data dictionary is what the schema says of itself, whatever keeps the results by time."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_core.config import DatabaseConfig, TimeSeries
from monitoring_testkit.servers.timescaledb import missing, timescaledb

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration_test

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "data-dictionary.md"


def check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "docs" / "generate", "--check", "data-dictionary", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def timescale(tmp_path: Path) -> Iterator[DatabaseConfig]:
    if lacking := missing():
        if os.environ.get("CI"):
            pytest.fail(f"no real TimescaleDB can be started: {lacking}")
        pytest.skip(f"no real TimescaleDB can be started: {lacking}")
    with timescaledb(tmp_path) as server:
        yield DatabaseConfig(host=server.host, port=server.port, user=server.user, timeseries=TimeSeries.TIMESCALEDB)


def test_the_page_is_what_the_schema_says() -> None:
    """A revision that adds a column without a comment, or a comment without the page, does not pass."""
    done = check()
    assert done.returncode == 0, done.stderr


def test_a_page_that_says_something_else_is_told(tmp_path: Path) -> None:
    """The check can fail, and says how to mend the page."""
    (tmp_path / PAGE.name).write_text(PAGE.read_text().replace("Leases", "Rents"))
    done = check("--docs", tmp_path)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("data-dictionary.md is out of date: hatch run docs data-dictionary")


def test_a_hypertable_has_the_same_comments(timescale: DatabaseConfig) -> None:
    """The table of results and the views over it are made anew for TimescaleDB: what they say of themselves stays."""
    create_database(timescale)
    list(create_schema(timescale, dt.datetime.now(dt.UTC).date()))
    query = """
        SELECT coalesce(obj_description(c.oid, 'pg_class'), 'NONE'), coalesce(col_description(c.oid, attnum), 'NONE')
        FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
        WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'v')"""
    parameters = timescale.connection_parameters("test")
    with psycopg.connect(psycopg.conninfo.make_conninfo(**parameters)) as connection:
        said = {text for row in connection.execute(query).fetchall() for text in row}
    page = PAGE.read_text()
    assert len(said) > 50
    assert [text for text in said if text.replace("|", "\\|") not in page] == []
