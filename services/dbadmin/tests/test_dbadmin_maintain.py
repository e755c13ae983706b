"""Maintenance, on a real PostgreSQL: partitions, retention, repeated, killed, beside a writer and beside itself."""

from __future__ import annotations

import datetime as dt
import json
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest
import stamina
from click.testing import CliRunner

from dbadmin.cli import main
from dbadmin.history import default_partition, locking, partitions, retention
from dbadmin.history.maintain import maintain
from monitoring_runtime.postgres import connect
from monitoring_testkit.alert_rows import store, transition

if TYPE_CHECKING:
    from monitoring_core.config import DatabaseConfig

pytestmark = pytest.mark.integration_test

NOW = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)
DBADMIN = Path(sys.executable).with_name("dbadmin")
INSERT = """INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, reason, producer_id)
    SELECT i, %s, 'here', CASE WHEN i %% 3 = 0 THEN 'down' ELSE 'up' END, CASE WHEN i %% 3 = 0 THEN 'timeout' END, 1
    FROM generate_series(%s::int, %s::int) i ON CONFLICT DO NOTHING"""


def write(connection: psycopg.Connection[Any], at: dt.datetime, first: int = 1, last: int = 3) -> None:
    with connection.transaction():
        connection.execute(INSERT, (at, first, last))
        mark = "INSERT INTO monitoring.availability_dirty_hour VALUES (date_trunc('hour', %s::timestamptz, 'UTC'))"
        connection.execute(mark, (at,))


def run(database: DatabaseConfig, now: dt.datetime = NOW, **options: Any) -> list[str]:
    return [done.text for done in maintain(database, now, **options)]


def one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row
    return row[0]


def attached(connection: psycopg.Connection[Any]) -> list[str]:
    return [f"{day:%m-%d}" for day in partitions.attached_days(connection, "monitoring")]


def test_a_second_run_finds_nothing_to_do(database: DatabaseConfig, connection: psycopg.Connection[Any]) -> None:
    """Each step that was done is one line; a second run changes nothing."""
    write(connection, NOW)
    write(connection, NOW - dt.timedelta(hours=1))
    assert run(database) == [
        "partitions: 0 made, up to 2026-03-03",
        "hour 2026-03-01 12:00: rolled up",
        "hour 2026-03-01 11:00: rolled up",
        "day 2026-03-01: rolled up",
        "done: 2 hours and 1 day rolled up, 0 hours marked since",
    ]
    assert run(database) == [
        "partitions: 0 made, up to 2026-03-03",
        "done: 0 hours and 0 days rolled up, 0 hours marked since",
    ]
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_daily") == 6


def test_runs_follow_one_another_until_it_is_told_to_stop(config_file: Path, database: DatabaseConfig) -> None:
    """Where no timer begins them, as in Compose: a run that fails is told, the next one comes, and a stop is fine."""
    command = [str(DBADMIN), "maintain", "--every", "100ms", "--config", str(config_file)]
    with (
        connect(database, "test", autocommit=True) as mine,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running,
    ):
        assert running.stdout
        assert running.stderr
        try:
            for _ in range(2):
                assert any(line.startswith("done:") for line in running.stdout)
            mine.execute("ALTER TABLE monitoring.maintain_run RENAME TO away")
            assert "maintain_run" in running.stderr.readline()
            mine.execute("ALTER TABLE monitoring.away RENAME TO maintain_run")
            for _ in range(2):
                assert any(line.startswith("done:") for line in running.stdout)
        finally:
            running.send_signal(signal.SIGTERM)
        running.communicate()
        assert running.returncode == 0


def test_history_is_made_anew_once(config_file: Path) -> None:
    """Not again and again."""
    done = CliRunner().invoke(
        main, ["maintain", "--every", "1m", "--since", "2026-03-01", "--config", str(config_file)]
    )
    assert (done.exit_code, "--since is for one run" in done.stderr) == (2, True)


def test_the_planner_knows_how_small_a_small_installation_is(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Autovacuum skips tables with fewer than 50 changes; without statistics the status looks worth compiling."""
    connection.execute(
        "INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES ('http://a/'), ('http://b/')"
    )
    connection.execute("INSERT INTO monitoring.producer_lease VALUES ('here', 1, 'holder', now(), now())")
    write(connection, NOW)
    run(database)
    (plan,) = one(connection, "EXPLAIN (FORMAT JSON) SELECT * FROM monitoring.website_status")
    assert plan["Plan"]["Total Cost"] < float(one(connection, "SHOW jit_above_cost"))
    connection.execute(
        "INSERT INTO monitoring.producer_lease SELECT 'there', i, '', now(), now() FROM generate_series(1, 9) i"
    )
    one(connection, "SELECT pg_stat_force_next_flush()")
    run(database)
    assert one(connection, "SELECT reltuples FROM pg_class WHERE relname = 'producer_lease'") == 10


def test_partitions_of_an_older_release_get_the_index_over_time(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Once, while consumers go on; an index that a killed run left unfinished is built again."""
    index = "availability_result_20260301_scheduled_at_idx"
    connection.execute("DROP INDEX monitoring.availability_result_time")
    connection.execute(
        "CREATE INDEX availability_result_time ON ONLY monitoring.availability_result USING brin (scheduled_at)"
    )
    said = run(database)
    assert "partition availability_result_20260301: index over time made" in said
    assert not any("index" in line for line in run(database))
    assert one(connection, f"SELECT count(*) FROM pg_indexes WHERE indexname = '{index}'") == 0
    valid = (
        "SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid::regclass::text LIKE '%availability_result%time'"
    )
    assert one(connection, valid)


def test_a_day_is_dropped_when_it_is_too_old_and_its_roll_ups_stay(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Rows that a consumer of an older release wrote without a mark are rolled up before they are dropped."""
    write(connection, NOW)
    connection.execute(INSERT, (NOW - dt.timedelta(hours=5), 1, 3))
    later = NOW + dt.timedelta(days=4)
    said = run(database, later)
    assert "hour 2026-03-01 07:00: rolled up, it differed from its results" in said
    assert "results of 2026-03-01: dropped" in said
    assert attached(connection) == ["03-02", "03-03", "03-04", "03-05", "03-06", "03-07"]
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result") == 0
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_daily") == 6
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_incident") == 2


def test_what_was_written_yesterday_without_a_mark_is_found_once_the_day_is_over(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """A consumer of an older release leaves no marks. The day is compared once, not at every run."""
    run(database)
    connection.execute(INSERT, (NOW, 1, 3))
    assert "hour 2026-03-01 12:00: rolled up, it differed from its results" in run(database, NOW + dt.timedelta(days=1))
    connection.execute(INSERT, (NOW, 4, 6))
    assert not any("hour" in line for line in run(database, NOW + dt.timedelta(days=1))[:-1])


def test_results_that_come_after_their_day_was_dropped_are_deleted_and_harm_nothing(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """The roll-ups of their hour, of which no other result is left, stay as they are."""
    write(connection, NOW)
    later = NOW + dt.timedelta(days=4)
    run(database, later)
    write(connection, NOW, 4, 5)
    said = run(database, later)
    assert said[0] == "default partition: 2 results older than database.retention deleted"
    assert said[2] == "1 hour older than database.retention left as they are: too late"
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result") == 0
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_daily") == 3


@pytest.mark.parametrize("after", ["expire_default", "forget_marks"])
def test_results_that_come_too_late_while_maintain_runs_harm_nothing(
    database: DatabaseConfig, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """At whatever moment they arrive, their hours are not rolled up from them alone."""
    write(connection, NOW)
    later = NOW + dt.timedelta(days=4)
    run(database, later)
    with monkeypatch.context() as patched:
        module = default_partition if after == "expire_default" else retention
        step = getattr(module, after)

        def stepped(*arguments: Any) -> Any:
            done = step(*arguments)
            write(connection, NOW, 4, 5)
            return done

        patched.setattr(module, after, stepped)
        run(database, later)
    run(database, later)
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result") == 0
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_hourly") == 3
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_daily") == 3
    assert one(connection, "SELECT count(*) FROM monitoring.website_incident") == 1


def test_a_longer_retention_does_not_bring_back_what_was_dropped(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """`since` leaves the roll-ups of days whose results were dropped as they are."""
    write(connection, NOW)
    write(connection, NOW + dt.timedelta(days=1))
    later = NOW + dt.timedelta(days=4)
    run(database, later)
    longer = attrs.evolve(database, retention=dt.timedelta(days=30))
    said = run(longer, later, since=NOW - dt.timedelta(days=7))
    assert "hour 2026-03-02 12:00: rolled up" in said
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_daily") == 6
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_incident") == 2


def test_old_roll_ups_and_incidents_go_by_their_own_retention(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """An incident that is still open stays, however old, with the number of its checks."""
    write(connection, NOW)
    write(connection, NOW + dt.timedelta(minutes=10), 4, 9)
    connection.execute(
        "UPDATE monitoring.availability_result SET status = 'up', reason = NULL WHERE target_id = 9 AND status = 'down'"
    )
    connection.execute(INSERT, (NOW + dt.timedelta(minutes=1), 7, 8))
    short = attrs.evolve(database, rollup_retention=dt.timedelta(days=3))
    said = run(short, NOW + dt.timedelta(days=5))
    assert any("older than database.rollup_retention deleted" in line for line in said)
    assert one(connection, "SELECT count(*) FROM monitoring.availability_hourly") == 0
    assert one(connection, "SELECT count(*) FROM monitoring.availability_daily") == 0
    found = connection.execute("SELECT target_id, ended_at, checks FROM monitoring.website_incident ORDER BY 1")
    assert found.fetchall() == [(3, None, 1), (6, None, 1)]


def test_an_alert_stays_as_long_as_it_is_open(database: DatabaseConfig, connection: psycopg.Connection[Any]) -> None:
    """What it is now, what was told of it and who looks after it; one that has ended goes with all that it was."""
    store(
        connection,
        transition(1, "firing", "suspected", at=NOW),
        transition(1, "recovering", "firing", at=NOW + dt.timedelta(minutes=1)),
        transition(1, "firing", "recovering", at=NOW + dt.timedelta(minutes=2)),
        transition(2, "firing", "suspected", at=NOW),
        transition(2, "resolved", "firing", at=NOW + dt.timedelta(minutes=1)),
        transition(3, "suspected", "ok", at=NOW),
        transition(3, "ok", "suspected", at=NOW + dt.timedelta(minutes=1)),
    )
    first = f"alert-1-down-0-firing-{NOW.timestamp()}"
    connection.execute(
        "INSERT INTO monitoring.alert_told (alert_id, transition_id, state, channels) VALUES (%s, %s, 'firing', '{}')",
        ("alert-1-down-0", first),
    )
    for number in (1, 2):
        connection.execute(
            "INSERT INTO monitoring.alert_acknowledgement VALUES (%s, %s)", (f"alert-{number}-down-0", NOW)
        )
    connection.execute("UPDATE monitoring.alert_transition SET stored_at = at")
    for _ in retention.expire_rollups(connection, "monitoring", NOW + dt.timedelta(days=5)):
        pass
    left = connection.execute("SELECT target_id, state, transition_id = %s FROM monitoring.alert_transition", (first,))
    assert sorted(left.fetchall()) == [(1, "firing", False), (1, "firing", True)]
    assert connection.execute("SELECT alert_id FROM monitoring.alert_acknowledgement").fetchall() == [
        ("alert-1-down-0",)
    ]


def test_many_days_of_the_default_partition_are_told_in_a_short_line(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """A year of late results is a line that can be read."""
    for day in range(10, 17):
        write(connection, NOW + dt.timedelta(days=day), 1, 2)
    moved = "default partition: 14 rows moved into partitions of 7 days from 2026-03-11 to 2026-03-17"
    assert run(database, NOW + dt.timedelta(days=10))[0] == moved


def test_rows_of_the_default_partition_move_into_one_of_their_day(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Also for days after the last partition: all rows move, and the new partitions have the index over time."""
    far = NOW + dt.timedelta(days=10)
    write(connection, far)
    write(connection, far + dt.timedelta(days=1), 1, 2)
    before = connection.execute("SELECT * FROM monitoring.availability_result ORDER BY 1, 2").fetchall()
    said = run(database, far)
    assert said[0] == "default partition: 5 rows moved into partitions of 2026-03-11, 2026-03-12"
    assert connection.execute("SELECT * FROM monitoring.availability_result ORDER BY 1, 2").fetchall() == before
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result_default") == 0
    assert {"03-11", "03-12"} <= set(attached(connection))
    indexes = (
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'availability_result_20260311' AND indexdef LIKE '%brin%'"
    )
    assert one(connection, indexes) == 1
    write(connection, far, 4, 4)
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result_20260311") == 4


def test_rows_that_come_or_change_while_the_default_partition_is_copied_are_moved_too(
    database: DatabaseConfig, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No writer waits for the copy; rows that were added or changed meanwhile are copied under the lock."""
    far = NOW + dt.timedelta(days=10)
    write(connection, far)
    copy = default_partition._copy

    def copied(mine: psycopg.Connection[Any], schema: str, day: dt.date, since: str | None = None) -> None:
        copy(mine, schema, day, since)
        if since is None:
            write(connection, far + dt.timedelta(minutes=1), 7, 8)
            connection.execute("UPDATE monitoring.availability_result SET error = 'changed' WHERE target_id = 2")

    monkeypatch.setattr(default_partition, "_copy", copied)
    assert run(database, far)[0] == "default partition: 5 rows moved into partitions of 2026-03-11"
    found = "SELECT target_id, error FROM monitoring.availability_result_20260311 ORDER BY 1"
    assert connection.execute(found).fetchall() == [(1, None), (2, "changed"), (3, None), (7, None), (8, None)]


def test_a_long_query_is_not_waited_for(
    database: DatabaseConfig, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer would wait behind maintain: the day stays until the next run, and roll-ups continue."""
    monkeypatch.setattr(locking, "LOCK_ATTEMPTS", 2)
    write(connection, NOW)
    later = NOW + dt.timedelta(days=4)
    with connect(database, "test") as reader:
        reader.execute("SELECT * FROM monitoring.availability_result")
        said = run(database, later)
        assert "results of 2026-03-01: kept, a long query holds them; the next run tries again" in said
        assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_daily") == 3
    assert "results of 2026-03-01: dropped" in run(database, later)


def test_a_day_that_was_kept_is_still_computed_right(
    database: DatabaseConfig, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results that arrive before it is dropped join its incidents as usual."""
    monkeypatch.setattr(locking, "LOCK_ATTEMPTS", 2)
    for hours in (0, 1, 24):
        write(connection, NOW + dt.timedelta(hours=hours), 3, 3)
    later = NOW + dt.timedelta(days=4)
    with connect(database, "test") as reader:
        reader.execute("SELECT * FROM monitoring.availability_result")
        assert any("2026-03-01: kept" in line for line in run(database, later))
    write(connection, NOW + dt.timedelta(minutes=10), 3, 3)
    assert "results of 2026-03-01: dropped" in run(database, later)
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_incident") == 4


def test_only_one_works_at_a_time(database: DatabaseConfig, config_file: Path) -> None:
    """The second says so and ends with status 0."""
    first = maintain(database, NOW)
    next(first)
    done = CliRunner().invoke(main, ["maintain", "--config", str(config_file), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.output)["text"].startswith("another dbadmin maintain is at work: nothing to do; process ")
    first.close()


def test_at_the_time_limit_it_stops_and_says_what_is_left(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """The next run goes on from there."""
    for hour in range(3):
        write(connection, NOW - dt.timedelta(hours=hour))
    assert run(database, time_limit_s=0.0)[-1] == (
        "stopped at the time limit: 0 hours and 0 days rolled up, 3 hours left for the next run"
    )
    assert run(database)[-1] == "done: 3 hours and 1 day rolled up, 0 hours marked since"


def test_all_can_be_computed_anew_since_a_day(
    database: DatabaseConfig, connection: psycopg.Connection[Any], config_file: Path
) -> None:
    """After results were changed by hand, which leaves no mark."""
    now = dt.datetime.now(dt.UTC)
    write(connection, now)
    CliRunner().invoke(main, ["maintain", "--config", str(config_file)])
    connection.execute("DELETE FROM monitoring.availability_result WHERE target_id = 3")
    done = CliRunner().invoke(main, ["maintain", "--config", str(config_file), "--since", f"{now:%Y-%m-%d}"])
    assert done.exit_code == 0, done.output
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_daily") == 2
    assert one(connection, "SELECT count(*) FROM monitoring.website_incident") == 0


def test_killed_again_and_again_beside_a_writer_nothing_is_lost_or_doubled(
    database: DatabaseConfig, connection: psycopg.Connection[Any], config_file: Path
) -> None:
    """SIGKILL at any moment, two at once, rows for now, for days ahead without a partition and for days past."""
    now = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    stop, written = threading.Event(), list[tuple[int, dt.datetime]]()
    order = random.Random(7)

    def keep_writing() -> None:
        with connect(database, "test", autocommit=True) as mine:
            target_id = 0
            while not stop.is_set() or target_id < 300:
                target_id += 1
                day = order.choice([-2, -1, -1, 0, 0, 0, 4, 5])
                at = now + dt.timedelta(days=day, minutes=order.randint(-300, 0))
                for _ in range(3):
                    try:
                        write(mine, at, target_id, target_id)
                        break
                    except psycopg.errors.CheckViolation:
                        continue  # as the consumer: its day got a partition while it waited
                else:
                    raise AssertionError("refused three times")
                written.append((target_id, at))

    writer = threading.Thread(target=keep_writing)
    writer.start()
    command = [str(DBADMIN), "maintain", "--config", str(config_file), "--set", "database.partitions_ahead=2"]
    killed, seen = 0, list[str]()
    for turn in range(12):
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(1 + turn % 2)]
        for process in processes:
            assert process.stdout
            # In the middle of the step that follows some line of its report.
            for _, line in zip(range(order.randint(1, 5)), process.stdout, strict=False):
                seen.append(line)
            process.send_signal(signal.SIGKILL)
            process.stdout.close()
            killed += process.wait() == -signal.SIGKILL
    stop.set()
    writer.join()
    assert killed > 0
    assert any("rolled up" in line for line in seen)
    # PostgreSQL may still be ending what a killed one had begun.
    for attempt in stamina.retry_context(on=AssertionError, timeout=30, attempts=None):
        with attempt:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "another" not in done.stdout
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().rpartition(" (")[0].endswith("0 hours marked since")
    found = connection.execute("SELECT target_id, scheduled_at FROM monitoring.availability_result ORDER BY 1")
    assert found.fetchall() == written
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result_default") == 0
    for view in ("hourly", "daily"):
        totals = f"SELECT sum(checks), sum(down) FROM monitoring.website_availability_{view}"
        expected = (len(written), sum(target_id % 3 == 0 for target_id, _ in written))
        assert connection.execute(totals).fetchone() == expected
    assert one(connection, "SELECT count(*) FROM monitoring.website_incident") == len(written) // 3
