"""A backtest tells what deciding each stored result would have told, and how that differs from other policies."""

from __future__ import annotations

import datetime as dt
import json
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from alert_svc.adapters.history import PostgresHistory
from alert_svc.backtest.run import Backtest
from alert_svc.cli import main
from monitoring_alerting.policies import load_policies
from monitoring_alerting.testing.every_result import replay_all
from monitoring_core.clock import to_ms
from monitoring_core.config import DatabaseConfig
from monitoring_core.schedule import phase_ms
from monitoring_runtime.postgres import connect
from monitoring_testkit.alert_rows import store, transition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitoring_runtime.session import Session

pytestmark = pytest.mark.integration_test
BEGIN = dt.datetime(2026, 11, 10, 7, 30, tzinfo=dt.UTC)
END = BEGIN + dt.timedelta(hours=40)
STRICT = """policies:
  - {name: website-down, kind: down, failures: {at_least: 2, of_last: 3}}
  - {name: slow, kind: degraded, response_time: 2s}
  - {name: coverage, kind: missed}
  - {name: certificate, kind: certificate_expires_within}
"""
LAX = "policies:\n  - {name: website-down, kind: down, failures: {at_least: 5}}\n"
ROW = """
INSERT INTO monitoring.availability_result (target_id, scheduled_at, finished_at, location, status, reason,
    response_time_s, certificate_expires_at, producer_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 1) ON CONFLICT DO NOTHING"""


@pytest.fixture
def day() -> dt.date:
    return BEGIN.date()


@pytest.fixture
def connection(database: DatabaseConfig) -> Iterator[Session]:
    with connect(database, "test", autocommit=True) as made:
        for number in (1, 2, 3):
            made.execute(
                "INSERT INTO monitoring.availability_monitor_config (amc_id, amc_url, amc_labels) VALUES (%s, %s, %s)",
                (number, f"https://{number}.example/", json.dumps({"team": "shop" if number < 3 else "blog"})),
            )
        yield made


def fill(connection: Session, target: int, down: range, locations: tuple[str, ...] = ("berlin",)) -> None:
    """A result a minute; the target is down in some of them."""
    first = BEGIN - dt.timedelta(milliseconds=to_ms(BEGIN) % 60_000) + dt.timedelta(milliseconds=phase_ms(target, 60))
    rows = []
    for minute in range(int((END - BEGIN).total_seconds()) // 60):
        due = first + dt.timedelta(minutes=minute)
        bad = minute in down
        for at, location in enumerate(locations):
            done = due + dt.timedelta(seconds=0.5 + at)
            status, reason = ("down", "timeout") if bad else ("up", None)
            rows.append((target, due, done, location, status, reason, 0.5, END + dt.timedelta(days=2)))
    with connection.cursor() as cursor:
        cursor.executemany(ROW, rows)


def told_by(config: DatabaseConfig, file: Path, text: str) -> tuple[list[object], list[object]]:
    """What the backtest tells of each target, and what deciding each result tells."""
    file.write_text(text)
    policies, period = load_policies(file), (to_ms(BEGIN), to_ms(END))
    history = PostgresHistory(config, 60)
    targets = history.targets({})
    (said,) = Backtest(partial(PostgresHistory, config, 60), [policies], targets, period).run(2, lambda _: None)
    every: list[object] = []
    for target in targets:
        results = history.of(target.id, [period])
        every += [replace(one, results=[]) for one in replay_all(policies, [target], results, period)]
    return list(said), every


@pytest.mark.parametrize("seed", range(4))
def test_a_backtest_tells_what_deciding_every_row_tells(
    database: DatabaseConfig, connection: Session, tmp_path: Path, seed: int
) -> None:
    """Rows that are missing, late, slow, off their slots, or of another certificate."""
    chance = random.Random(seed)
    fill(connection, 1, range(600, 640), ("berlin", "tokyo"))
    fill(connection, 2, range(chance.randrange(2000), 2100, chance.choice([1, 7])))
    fill(connection, 3, range(0))
    at = "scheduled_at BETWEEN %s AND %s"
    changes = (
        f"DELETE FROM monitoring.availability_result WHERE {at}",
        f"UPDATE monitoring.availability_result SET finished_at = finished_at + interval '100 minutes' WHERE {at}",
        f"UPDATE monitoring.availability_result SET response_time_s = 3 WHERE {at}",
        f"UPDATE monitoring.availability_result SET finished_at = NULL, response_time_s = NULL WHERE {at}",
        f"UPDATE monitoring.availability_result SET scheduled_at = scheduled_at + interval '11.0005 s' WHERE {at}",
        f"UPDATE monitoring.availability_result SET certificate_expires_at = '2026-11-12 12:00Z' WHERE {at}",
        f"UPDATE monitoring.availability_result SET status = 'unknown', reason = 'prober_error' WHERE {at}",
    )
    for change in changes:
        begin = BEGIN + dt.timedelta(minutes=chance.randrange(2300))
        connection.execute(change, (begin, begin + dt.timedelta(minutes=chance.choice([1, 3, 90]))))
    said, every = told_by(database, tmp_path / "alerts.yaml", STRICT)
    assert said == every
    assert len(said) >= 4


def test_a_backtest_says_what_is_suppressed_and_what_is_sooner(
    database: DatabaseConfig, connection: Session, tmp_path: Path
) -> None:
    """Against other policies on the same results; a window keeps one alert back."""
    fill(connection, 1, range(600, 640))
    fill(connection, 2, range(900, 903))
    fill(connection, 3, range(1200, 1230))
    connection.execute(
        "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at) VALUES (%s, %s, %s)",
        (json.dumps({"team": "blog"}), BEGIN + dt.timedelta(hours=19), BEGIN + dt.timedelta(hours=22)),
    )
    done = run(database, tmp_path, "--against", str(tmp_path / "lax.yaml"), "-o", "json")
    report = json.loads(done.stdout)
    assert [(one["target_id"], one["kind"], one["change"], one["by_s"]) for one in report["alerts"]] == [
        (1, "down", "sooner", 180.0),
        (2, "down", "more", 0.0),
        (3, "down", "more", 0.0),
    ]
    assert report["alerts"][0]["lasted_s"] == 41 * 60
    assert [one["silenced_window"] is not None for one in report["alerts"]] == [False, False, True]
    assert report["totals"] == {
        "alerts": 3,
        "told": 2,
        "in_windows": 1,
        "behind_parents": 0,
        "flapping": 0,
        "same": 0,
        "sooner": 1,
        "later": 0,
        "more": 1,
        "fewer": 0,
    }
    assert "3:00 sooner" in " ".join(run(database, tmp_path, "--against", str(tmp_path / "lax.yaml")).stdout.split())
    (only,) = json.loads(run(database, tmp_path, "--label", "team=blog", "-o", "json").stdout)["alerts"]
    assert only["target_id"] == 3


def test_without_other_policies_it_is_compared_with_what_was_told(
    database: DatabaseConfig, connection: Session, tmp_path: Path
) -> None:
    """Here alert-svc told of a target that the new policies find up."""
    for number in (1, 2, 3):
        fill(connection, number, range(0))
    store(connection, transition(1, "firing", "suspected", at=BEGIN + dt.timedelta(hours=3)))
    report = json.loads(run(database, tmp_path, "-o", "json").stdout)
    assert (report["against"], report["alerts"], len(report["fewer"])) == ("in force", [], 1)


def run(database: DatabaseConfig, folder: Path, *more: str) -> Result:
    (folder / "strict.yaml").write_text(
        STRICT.replace("  - {name: certificate, kind: certificate_expires_within}\n", "")
    )
    (folder / "lax.yaml").write_text(LAX)
    address = {"host": database.host, "port": database.port, "user": database.user, "database": database.database}
    (folder / "config.yaml").write_text(json.dumps({"kafka": {"bootstrap_servers": "k:1"}, "database": address}))
    words = ["--policies", str(folder / "strict.yaml"), "--config", str(folder / "config.yaml")]
    span = ["--since", BEGIN.isoformat(), "--until", END.isoformat()]
    done = CliRunner().invoke(main, ["backtest", *words, *span, *more])
    assert done.exit_code == 0, done.output
    return done
