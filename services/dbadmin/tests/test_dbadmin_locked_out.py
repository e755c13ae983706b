"""Locks that others hold: who holds them is said, and waiting ends."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest
from click.testing import CliRunner

from dbadmin.cli import main
from dbadmin.history import runs
from dbadmin.history.maintain import LOCK, maintain
from dbadmin.install import locks, revisions
from dbadmin.install.roles import create_roles
from dbadmin.install.schema import create_schema
from monitoring_core.errors import StopError
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitoring_core.config import Config, DatabaseConfig

pytestmark = pytest.mark.integration_test

NOW = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)


@pytest.fixture
def other(database: DatabaseConfig) -> Iterator[psycopg.Connection[Any]]:
    """A session of somebody else."""
    with connect(database, "a pool", autocommit=True) as made:
        yield made


def hold(other: psycopg.Connection[Any]) -> None:
    other.execute("SELECT pg_advisory_lock(%s, hashtext('monitoring'))", (LOCK,))


def test_a_lock_that_a_pool_keeps_is_told_with_its_holder_and_fails_the_third_run(
    database: DatabaseConfig, config_file: Path, other: psycopg.Connection[Any]
) -> None:
    """Each run says who holds it and since when; the third in succession ends with status 1 and what mends it."""
    hold(other)
    pid = other.info.backend_pid
    command = ["maintain", "--config", str(config_file)]
    for _ in range(2):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0
        assert done.output.startswith(
            f"another dbadmin maintain is at work: nothing to do; process {pid} (a pool as postgres"
        )
        assert ", idle since 20" in done.output
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert f"process {pid} (a pool as postgres" in done.output
    assert "has held the lock of dbadmin maintain since before 20" in done.output
    assert "3 runs in succession saw it finish no step" in done.output
    assert f"end it with SELECT pg_terminate_backend({pid})" in done.output
    other.close()
    assert CliRunner().invoke(main, command).exit_code == 0
    with connect(database, "test", autocommit=True) as connection:
        outcomes = connection.execute("SELECT outcome FROM monitoring.maintain_run ORDER BY run_id").fetchall()
    assert outcomes == [("locked_out",)] * 3 + [("done",)]


def test_a_long_run_that_finishes_steps_fails_no_other(
    database: DatabaseConfig, other: psycopg.Connection[Any]
) -> None:
    """The first roll-up of a long history takes longer than three periods."""
    mark = (
        "INSERT INTO monitoring.availability_dirty_hour SELECT %s - i * interval '1 hour' FROM generate_series(1, 6) i"
    )
    other.execute(mark, (NOW,))
    working = maintain(database, NOW)
    for _ in range(6):
        next(working)
        (line,) = list(maintain(database, NOW))
        assert line.text.startswith("another dbadmin maintain is at work: nothing to do; process ")
        assert "(dbadmin as postgres" in line.text
    working.close()


def test_a_run_that_fails_notes_why(database: DatabaseConfig, other: psycopg.Connection[Any]) -> None:
    """The next one that succeeds is noted as well, after its work."""
    other.execute("ALTER TABLE monitoring.availability_hourly RENAME TO away")
    other.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (date_trunc('hour', %s))", (NOW,))
    with pytest.raises(StopError, match="does not exist"):
        list(maintain(database, NOW))
    assert runs.history(other, "monitoring").problem == 'relation "monitoring.availability_hourly" does not exist'
    assert runs.history(other, "monitoring").succeeded_s is None
    other.execute("ALTER TABLE monitoring.away RENAME TO availability_hourly")
    list(maintain(database, NOW))
    known = runs.history(other, "monitoring")
    assert known.succeeded_s is not None
    assert known.succeeded_s < 60
    assert (known.problem, known.oldest_s, known.hours) == (None, None, 0)


def test_runs_of_more_than_a_week_ago_are_forgotten(database: DatabaseConfig, other: psycopg.Connection[Any]) -> None:
    """By a run that succeeds, so that a failure of weeks is still known as such."""
    other.execute(
        "INSERT INTO monitoring.maintain_run (began_at, outcome) VALUES "
        "(now() - interval '8 days', 'done'), (now() - interval '6 days', 'failed')"
    )
    list(maintain(database, NOW))
    kept = other.execute("SELECT outcome FROM monitoring.maintain_run ORDER BY run_id").fetchall()
    assert kept == [("failed",), ("done",)]


def test_commands_say_what_they_wait_for_and_give_up(
    config: Config, database: DatabaseConfig, other: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one's lock once made create-schema wait for ever, without a word."""
    monkeypatch.setattr(locks, "GIVE_UP_S", 1.0)
    other.execute("SELECT pg_advisory_lock(%s)", (locks.INSTALLATION_LOCK,))
    holder = f"process {other.info.backend_pid} (a pool as postgres"
    roles = attrs.evolve(config, roles=attrs.evolve(config.roles, reader_user=f"{database.database}-reader"))
    for command in (
        lambda tell: list(create_schema(database, NOW.date(), tell=tell)),
        lambda tell: revisions.downgrade(database, "0001", tell),
        lambda tell: list(create_roles(roles, tell)),
    ):
        told: list[str] = []
        with pytest.raises(StopError, match=r"has held the lock of dbadmin's commands for 1 s") as stopped:
            command(told.append)
        assert holder in str(stopped.value)
        (line,) = told
        assert line.startswith(f"waits for another command of dbadmin, for 1 s at most: {holder}")


def test_a_command_goes_on_when_the_other_is_done(database: DatabaseConfig, other: psycopg.Connection[Any]) -> None:
    """As when several pods set up at once."""
    other.execute("SELECT pg_advisory_lock(%s)", (locks.INSTALLATION_LOCK,))
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        other.execute("SELECT pg_advisory_unlock(%s)", (locks.INSTALLATION_LOCK,))

    said = list(create_schema(database, NOW.date(), tell=tell))
    assert len(told) == 1
    assert said[0].endswith(" already")


def test_a_table_that_is_held_is_told_with_its_holder(
    database: DatabaseConfig, other: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revision waits for it a second at a time."""
    monkeypatch.setattr(locks, "GIVE_UP_S", 2.0)
    told: list[str] = []
    with other.transaction():
        other.execute("SELECT count(*) FROM monitoring.availability_result")
        with pytest.raises(StopError, match=r"has held its tables for 2 s, so nothing was changed") as stopped:
            revisions.downgrade(database, "0001", told.append)
    holder = f"process {other.info.backend_pid} (a pool as postgres"
    assert holder in str(stopped.value)
    assert told[0].startswith(f"schema monitoring: waits for {holder}")
    assert "idle in transaction since 20" in told[0]


def test_partitions_that_a_long_query_holds_up_cost_one_wait(
    database: DatabaseConfig, other: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one for each of many days: it is the same query that holds up all of them."""
    monkeypatch.setattr("dbadmin.history.locking.LOCK_ATTEMPTS", 2)
    threads = threading.active_count()
    with other.transaction():
        other.execute("LOCK TABLE monitoring.availability_result IN SHARE MODE")
        said = list(create_schema(attrs.evolve(database, partitions_ahead=9), NOW.date()))
    assert [line for line in said if "long query" in line] == [
        (
            "partition availability_result_20260304: not made, a long query holds the default partition; the next run "
            "tries again"
        )
    ]
    assert threading.active_count() < threads + 10
