"""Schemathesis asks what the description of the API allows, and much that it does not, and finds no fault."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dbadmin.tokens import add_token
from monitoring_core.tokens import Scope
from monitoring_testkit import alert_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from conftest import Served

    from monitoring_core.config import Config

    Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.integration_test

# So many requests of each operation; FUZZ_REQUESTS for a longer run.
REQUESTS = os.environ.get("FUZZ_REQUESTS", "20")
SEED = os.environ.get("FUZZ_SEED", "20261126")


@pytest.fixture
def rows(connection: Connection) -> None:
    """Something to find under the first numbers: targets, open incidents, windows and an alert."""
    for number in range(5):
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_url, amc_labels) VALUES (%s, %s)",
            (f"https://{number}.example/", json.dumps({"team": "shop"})),
        )
        connection.execute(
            "INSERT INTO monitoring.availability_incident (target_id, location, began_at, reason, checks) "
            "VALUES (%s, 'berlin', %s, 'timeout', 3)",
            (number + 1, dt.datetime.now(dt.UTC)),
        )
        connection.execute(
            "INSERT INTO monitoring.maintenance_window (begins_at, ends_at) VALUES (now(), now() + interval '1 hour')"
        )
    alert_rows.store(connection, alert_rows.transition(1, "firing", "suspected"))


@pytest.mark.usefixtures("rows")
def test_schemathesis_finds_nothing(config: Config, serve: Callable[..., Served], tmp_path: Path) -> None:
    """Statuses, media types and contents are as described, wrong requests are refused, and nothing ends in 500."""
    served = serve(writes=True, requests_per_minute=1_000_000, cache=dt.timedelta(seconds=1))
    token = add_token(config.database, "schemathesis", [Scope.READ, Scope.WRITE], None)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file",
        str(Path(__file__).with_name("schemathesis.toml")),
        "run",
        f"{served.url}/api/v1/openapi.json",
        "--header",
        f"Authorization: Bearer {token}",
        "--max-examples",
        REQUESTS,
        "--seed",
        SEED,
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
