"""Roll-ups, incidents and status against the same computed from all rows, on a real PostgreSQL."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import random
from collections import Counter, defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbadmin.history.rollups import RELATIVE_ERROR, dirty_days, dirty_hours, roll_up_day, roll_up_hour
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import Config

pytestmark = pytest.mark.integration_test

HOUR = dt.timedelta(hours=1)
NOW = dt.datetime.now(dt.UTC)
BASE = NOW.replace(minute=0, second=0, microsecond=0) - 5 * HOUR
TABLES = ["result", "dirty_hour", "dirty_day", "hourly", "daily", "down_run", "incident", "state", "location", "pause"]


@attrs.frozen
class Row:
    """What a test needs of a result."""

    target_id: int
    at: dt.datetime
    location: str
    status: str
    reason: str | None
    response_time_s: float | None


def row(target_id: int, slot: int, location: str, status: str, response_time_s: float = 0.2) -> Row:
    reason = {"up": None, "down": ("timeout", "dns_error")[slot % 2], "unknown": "missed_window"}[status]
    at = BASE + slot * dt.timedelta(minutes=20)
    return Row(target_id, at, location, status, reason, None if status == "unknown" else response_time_s)


def write(connection: psycopg.Connection[Any], rows: list[Row]) -> None:
    """As a consumer does: rows and marks in one transaction, a real one replaces an unknown one."""
    with connection.transaction():
        for one in rows:
            connection.execute(
                "INSERT INTO monitoring.availability_result AS old "
                "(target_id, scheduled_at, location, status, reason, response_time_s, producer_id) "
                "VALUES (%s, %s, %s, %s, %s, %s, 1) ON CONFLICT (target_id, scheduled_at, location) DO UPDATE SET "
                "(status, reason, response_time_s) = (excluded.status, excluded.reason, excluded.response_time_s) "
                "WHERE old.status = 'unknown' AND excluded.status <> 'unknown'",
                attrs.astuple(one),
            )
        for hour in {one.at.replace(minute=0) for one in rows}:
            connection.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (%s)", (hour,))


def roll_up(connection: psycopg.Connection[Any], order: random.Random | None = None) -> None:
    hours = dirty_hours(connection, "monitoring")
    if order:
        order.shuffle(hours)
    for hour in hours:
        roll_up_hour(connection, "monitoring", hour)
    for day in dirty_days(connection, "monitoring"):
        roll_up_day(connection, "monitoring", day)
    if order:
        # The view must not depend on which targets it reads in one sweep and which one by one.
        sweep = BASE + order.randint(0, 16) * dt.timedelta(minutes=20)
        connection.execute("UPDATE monitoring.availability_progress SET tail_from = %s", (sweep,))


@pytest.fixture(scope="module")
def connection(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection[Any]]:
    from monitoring_core.config import load_config

    info = psycopg.conninfo.conninfo_to_dict(server)
    path = tmp_path_factory.mktemp("rollups") / "config.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '127.0.0.1:1'}}\ndatabase: {{host: '{info['host']}', "
        f"port: {info.get('port', 5432)}, user: postgres, database: rollups}}\n"
    )
    config: Config = load_config(path, environ={})
    create_database(config.database)
    list(create_schema(config.database, NOW.date()))
    with connect(config.database, "test", autocommit=True) as made:
        made.execute("SET timezone = 'Asia/Kathmandu'")  # days are UTC's, whatever the session's time zone
        yield made


@pytest.fixture
def empty(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    clear(connection)
    return connection


def clear(connection: psycopg.Connection[Any]) -> None:
    connection.execute("TRUNCATE monitoring.producer_lease, monitoring.availability_monitor_config")
    tables = [*TABLES, "monitor_config_history"]
    connection.execute(f"TRUNCATE {', '.join(f'monitoring.availability_{table}' for table in tables)}")
    for target_id in (1, 2):
        # So long an interval that no row of a test is stale.
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_id, amc_url, amc_check_interval_s) "
            "VALUES (%s, %s, 86400)",
            (target_id, f"https://user:secret@website-{target_id}.example/"),
        )
    for location in ("here", "there"):
        connection.execute("INSERT INTO monitoring.producer_lease VALUES (%s, 1, 'holder', now(), now())", (location,))


def merged(rows: list[Row]) -> list[Row]:
    """The rows that a table ends with."""
    table: dict[tuple[Any, ...], Row] = {}
    for one in rows:
        known = table.setdefault((one.target_id, one.location, one.at), one)
        if known.status == "unknown" and one.status != "unknown":
            table[one.target_id, one.location, one.at] = one
    return [table[key] for key in sorted(table)]


def counts(rows: list[Row], period: dt.timedelta) -> dict[tuple[Any, ...], tuple[int, ...]]:
    found: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for one in rows:
        start = one.at.replace(minute=0) if period == HOUR else one.at.replace(minute=0, hour=0)
        found[one.target_id, one.location, start][one.status] += 1
    return {key: (some["up"], some["down"], some["unknown"]) for key, some in found.items()}


def incidents(rows: list[Row]) -> list[tuple[Any, ...]]:
    """Between the first check that is down and the next that is up, unknown ones left out."""
    found: list[tuple[Any, ...]] = []
    for key, some in groupby(rows, lambda one: (one.target_id, one.location)):
        open_: list[Row] = []
        for one in [one for one in some if one.status != "unknown"]:
            if one.status == "down":
                open_.append(one)
            elif open_:
                found.append((*key, open_[0].at, one.at, open_[0].reason, len(open_)))
                open_ = []
        if open_:
            found.append((*key, open_[0].at, None, open_[0].reason, len(open_)))
    return found


def statuses(rows: list[Row]) -> list[tuple[Any, ...]]:
    """The status of the newest row, and since when; unknown checks interrupt nothing."""
    found = []
    for key, some in groupby(rows, lambda one: (one.target_id, one.location)):
        ordered = list(some)
        last = ordered[-1]
        since = last.at
        for one in reversed(ordered):
            if one.status == last.status:
                since = one.at
            elif one.status != "unknown":
                break
        found.append((*key, last.status, last.reason, since, last.at))
    return found


STATUS = """SELECT target_id, location, status, reason, since, last_check_at FROM monitoring.website_status
    WHERE last_check_at IS NOT NULL ORDER BY 1, 2"""


def assert_right(connection: psycopg.Connection[Any], rows: list[Row]) -> None:
    """Roll-ups, incidents and the status are what all rows add up to."""
    for table, period in (("hourly", HOUR), ("daily", 24 * HOUR)):
        name = "hour" if period == HOUR else "day"
        kept = connection.execute(f"SELECT * FROM monitoring.availability_{table}").fetchall()
        names = [c.name for c in connection.execute(f"SELECT * FROM monitoring.availability_{table}").description or ()]
        found = [dict(zip(names, values, strict=True)) for values in kept]
        got = {
            (r["target_id"], r["location"], r[name].astimezone(dt.UTC)): (r["up"], r["down"], r["unknown"])
            for r in found
        }
        assert got == counts(rows, period)
        for r, (prefix, status) in itertools.product(found, (("", "up"), ("down_", "down"))):
            times = sorted(
                one.response_time_s
                for one in rows
                if (one.target_id, one.location, one.status) == (r["target_id"], r["location"], status)
                and r[name] <= one.at < r[name] + period
                and one.response_time_s is not None
            )
            for rank in (50, 95, 99):
                told = r[f"{prefix}p{rank}_s"]
                if not times:
                    assert told is None
                    continue
                exact = times[math.ceil(rank / 100 * len(times)) - 1]
                assert told == pytest.approx(max(exact, 1e-4), rel=RELATIVE_ERROR + 1e-5)
    assert reasons(connection) == Counter((r.target_id, r.location, r.reason) for r in rows if r.reason)
    columns = "target_id, location, began_at, ended_at, reason, checks"
    query = f"SELECT {columns} FROM monitoring.website_incident ORDER BY 1, 2, 3"
    assert connection.execute(query).fetchall() == incidents(rows)
    assert connection.execute(STATUS).fetchall() == statuses(rows)


def reasons(connection: psycopg.Connection[Any]) -> dict[tuple[Any, ...], int]:
    query = "SELECT target_id, location, reason, sum(checks) FROM monitoring.website_reason_hourly GROUP BY 1, 2, 3"
    return {tuple(key): int(count) for *key, count in connection.execute(query).fetchall()}


rows_strategy = st.lists(
    st.builds(
        row,
        st.integers(1, 2),
        st.integers(0, 15),
        st.sampled_from(["here", "there"]),
        st.sampled_from(["up", "down", "down", "unknown"]),
        st.floats(5e-5, 100),
    ),
    min_size=1,
    max_size=12,
)
steps_strategy = st.lists(rows_strategy | st.just("maintain") | st.just("one hour"), min_size=1, max_size=10)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps_strategy, seed=st.integers(0, 1000))
def test_whatever_comes_in_whatever_order_all_is_as_computed_from_the_rows(
    connection: psycopg.Connection[Any], steps: list[Any], seed: int
) -> None:
    """Late rows, repeated rows, unknown rows that become real; hours rolled up in any order, also in between."""
    clear(connection)
    order, rows = random.Random(seed), list[Row]()
    for step in steps:
        if step == "maintain":
            roll_up(connection, order)
            assert_right(connection, merged(rows))
        elif step == "one hour":
            if hours := dirty_hours(connection, "monitoring"):
                roll_up_hour(connection, "monitoring", order.choice(hours))
        else:
            write(connection, step)
            rows += step
    roll_up(connection, order)
    assert_right(connection, merged(rows))
    assert dirty_hours(connection, "monitoring") == dirty_days(connection, "monitoring") == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.sampled_from(["up", "down", "unknown", None]), min_size=1, max_size=15),
    maintained=st.sets(st.integers(0, 14), max_size=3),
    seed=st.integers(0, 1000),
)
def test_status_and_since_are_those_of_now_whenever_maintain_ran(
    connection: psycopg.Connection[Any], times: list[str | None], maintained: set[int], seed: int
) -> None:
    """Also before the first run, and with any number of checks and changes since the last."""
    clear(connection)
    order, rows = random.Random(seed), list[Row]()
    for slot, status in enumerate(times):
        if status:
            rows.append(row(1, slot, "here", status))
            write(connection, rows[-1:])
        if slot in maintained:
            roll_up(connection, order)
        assert connection.execute(STATUS).fetchall() == statuses(rows)


def test_a_row_committed_while_its_hour_is_computed_is_not_lost(empty: psycopg.Connection[Any]) -> None:
    """The computation sees neither the row nor its mark, which therefore stays for the next run."""
    write(empty, [row(1, 0, "here", "up")])
    # The row is written, and its commit waits until the hour is rolled up without it.
    with psycopg.connect(empty.info.dsn, autocommit=True) as other, other.transaction():
        write(other, [row(2, 1, "here", "down")])
        roll_up(empty)
        assert counted(empty) == [(1, 1)]
    assert len(dirty_hours(empty, "monitoring")) == 1
    roll_up(empty)
    assert counted(empty) == [(1, 1), (2, 1)]


def test_a_row_that_commits_after_the_marks_are_taken_and_before_the_rows_are_read_is_not_lost(
    empty: psycopg.Connection[Any],
) -> None:
    """This is the worst moment: the mark is not deleted, so the next run computes the hour again."""
    write(empty, [row(1, 0, "here", "up")])
    with psycopg.connect(empty.info.dsn, autocommit=True) as other:

        class Late:
            """The connection of maintain; another session commits a row right after the marks were deleted."""

            def __getattr__(self, name: str) -> Any:
                return getattr(empty, name)

            def execute(self, statement: Any, *arguments: Any) -> Any:
                done = empty.execute(statement, *arguments)
                if "DELETE" in str(statement) and "dirty_hour" in str(statement):
                    write(other, [row(2, 1, "here", "down")])
                return done

        roll_up_hour(Late(), "monitoring", BASE)  # type: ignore[arg-type]  # it has what is used of one
    assert dirty_hours(empty, "monitoring") == [BASE]
    roll_up(empty)
    assert counted(empty) == [(1, 1), (2, 1)]


def counted(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT target_id, sum(checks) FROM monitoring.website_availability_hourly GROUP BY 1 ORDER BY 1"
    ).fetchall()


def test_since_when_a_target_is_unknown_outlives_its_results(empty: psycopg.Connection[Any]) -> None:
    """Days may be dropped while a target is unknown."""
    written = [row(1, slot, "here", "unknown") for slot in (0, 3, 6)]
    write(empty, written[:2])
    roll_up(empty)
    empty.execute("DELETE FROM monitoring.availability_result WHERE scheduled_at < %s", (written[1].at,))
    write(empty, written[2:])
    roll_up(empty)
    assert empty.execute(STATUS).fetchall() == statuses(written)
    late = [row(1, 4, "here", "up")]
    write(empty, late)
    roll_up(empty)
    assert empty.execute(STATUS).fetchall() == statuses(sorted([*written, *late], key=lambda one: one.at))


def test_what_is_no_longer_checked_does_not_widen_the_sweep_of_the_status(empty: psycopg.Connection[Any]) -> None:
    """However many targets were deactivated and locations given up over the years."""
    old = attrs.evolve(row(1, 0, "there", "up"), at=BASE - dt.timedelta(days=3))
    write(empty, [old, row(1, 0, "here", "up")])
    roll_up(empty)
    found = empty.execute("SELECT tail_from FROM monitoring.availability_progress").fetchone()
    assert found == (BASE,)
    assert empty.execute(STATUS).fetchall() == statuses([row(1, 0, "here", "up"), old])


def test_one_target_in_twenty_may_be_behind_and_does_not_widen_the_sweep_of_the_status(
    empty: psycopg.Connection[Any],
) -> None:
    """It is looked up by itself, which costs less than to read the results of all others since its own."""
    minute = dt.timedelta(minutes=1)
    write(empty, [attrs.evolve(row(number, 0, "here", "up"), at=BASE + number * minute) for number in range(1, 41)])
    roll_up(empty)
    found = empty.execute("SELECT tail_from FROM monitoring.availability_progress").fetchone()
    assert found == (BASE + 2 * minute,)


def test_a_late_result_of_the_last_check_is_the_status_also_days_later(empty: psycopg.Connection[Any]) -> None:
    """The view reads no results that are older than yesterday: the state holds what replaced the unknown one."""
    at = BASE - dt.timedelta(days=3)
    for status in ("unknown", "up"):
        real = attrs.evolve(row(1, 0, "here", status), at=at)
        write(empty, [real])
        roll_up(empty)
        assert empty.execute(STATUS).fetchall() == statuses([real])


def test_no_view_shows_a_password_of_a_url(empty: psycopg.Connection[Any]) -> None:
    """An account that may read the views must not see the passwords of websites."""
    write(empty, [row(1, 0, "here", "up"), row(1, 1, "here", "down")])
    roll_up(empty)
    for view in ("status", "availability_hourly", "availability_daily", "incident"):
        found = empty.execute(f"SELECT DISTINCT url FROM monitoring.website_{view} WHERE target_id = 1").fetchall()
        assert found == [("https://website-1.example/",)]


def test_a_target_that_was_never_checked_says_so(empty: psycopg.Connection[Any]) -> None:
    """It is unknown, and not absent: without a location while none has results, then from each that has."""
    query = "SELECT target_id, location, status, reason FROM monitoring.website_status ORDER BY 1, 2"
    never = [(target_id, None, "unknown", "not_checked_yet") for target_id in (1, 2)]
    assert empty.execute(query).fetchall() == never
    write(empty, [row(1, 0, "here", "up")])
    assert empty.execute(query).fetchall() == [(1, "here", "up", None), never[1]]
    roll_up(empty)
    assert empty.execute(query).fetchall() == [(1, "here", "up", None), (2, "here", "unknown", "not_checked_yet")]
