"""The view without maintenance: every day against a count of rows in plain Python, on a real PostgreSQL."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb
from rolled_up import roll_up_all

from dbadmin.doctor.maintenance import check_windows
from dbadmin.history.maintain import maintain
from dbadmin.history.occurrences import write_occurrences
from dbadmin.history.rollups import note_rolled_up
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.reports.making import make_report
from dbadmin.reports.model import Question
from monitoring_core.config import Config, load_config
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.integration_test

MINUTE = dt.timedelta(minutes=1)
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LABELS: dict[int, dict[str, str] | None] = {1: {"team": "shop"}, 2: {"team": "shop", "env": "prod"}, 3: None}
REASONS = {"up": None, "down": "timeout", "unknown": "missed_window"}
# Labels, begin and end.
Held = tuple[dict[str, str], dt.datetime, dt.datetime]
# Target, location, slot and status.
Row = tuple[int, str, dt.datetime, str]
Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def config(server: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    info = psycopg.conninfo.conninfo_to_dict(server)
    path = tmp_path_factory.mktemp("outside") / "config.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '127.0.0.1:1'}}\ndatabase: {{host: '{info['host']}', "
        f"port: {info.get('port', 5432)}, user: postgres, database: outside}}\n"
    )
    config = load_config(path, environ={})
    create_database(config.database)
    return config


@pytest.fixture
def connection(config: Config) -> Iterator[Connection]:
    with connect(config.database, "test", autocommit=True) as made:
        made.execute("DROP SCHEMA IF EXISTS monitoring CASCADE")
        list(create_schema(config.database, dt.date(2026, 3, 1)))
        made.execute("SET timezone = 'UTC'")
        yield made


def fill(connection: Connection, order: random.Random, begin: dt.datetime, days: int) -> list[Row]:
    """Rows of three targets from two locations, at odd minutes; the third target is deleted afterwards."""
    rows = []
    for target_id, labels in LABELS.items():
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_id, amc_url, amc_labels, amc_check_interval_s, "
            "amc_active_since, amc_added_at) VALUES (%s, %s, %s, 420, %s, %s)",
            (target_id, f"https://{target_id}.example/", labels and Jsonb(labels), begin - DAY, begin - DAY),
        )
        for location in ("berlin", "tokyo"):
            for number in range(days * 24 * 60 // 7):
                at = begin + number * 7 * MINUTE + dt.timedelta(milliseconds=target_id)
                rows.append((target_id, location, at, order.choice(["up", "up", "up", "down", "unknown"])))
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO monitoring.availability_result (target_id, location, scheduled_at, status, reason, "
            "producer_id) VALUES (%s, %s, %s, %s, %s, 1)",
            [(*row, REASONS[row[3]]) for row in rows],
        )
    roll_up_all(connection)
    note_rolled_up(connection, "monitoring", begin + (days + 1) * DAY)
    connection.execute("DELETE FROM monitoring.availability_monitor_config WHERE amc_id = 2")
    return rows


def add_window(
    connection: Connection,
    match: dict[str, str],
    begin: dt.datetime,
    length: dt.timedelta,
    zone: str = "UTC",
    every: str | None = None,
    ended_at: dt.datetime | None = None,
) -> int:
    found = connection.execute(
        "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at, zone, recurrence, ended_at) "
        "VALUES (%s, %s, %s, %s, %s, %s) RETURNING window_id",
        (Jsonb(match), begin, begin + length, zone, every, ended_at),
    ).fetchone()
    assert found
    return int(found[0])


def expected(rows: Sequence[Row], held: Sequence[Held]) -> dict[tuple[int, str, dt.date], tuple[int, int, int, int]]:
    """Of each day the rows that are up, down and unknown outside of windows, and how many are within."""
    days: dict[tuple[int, str, dt.date], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for target_id, location, at, status in rows:
        labels = LABELS[target_id] or {}
        within = any(match.items() <= labels.items() and begin <= at < end for match, begin, end in held)
        days[target_id, location, at.date()][3 if within else ["up", "down", "unknown"].index(status)] += 1
    return {place: (up, down, unknown, left) for place, (up, down, unknown, left) in days.items()}


def shown(connection: Connection) -> dict[tuple[int, str, dt.date], tuple[int, int, int, int]]:
    rows = connection.execute(
        "SELECT target_id, location, day, up, down, unknown, left_out, checks, availability "
        "FROM monitoring.website_availability_outside_daily"
    ).fetchall()
    for _, _, _, up, down, unknown, _, checks, availability in rows:
        assert checks == up + down + unknown
        assert availability == (up / (up + down) if up + down else None)
    return {(row[0], row[1], row[2]): tuple(row[3:7]) for row in rows}


def write(connection: Connection, now: dt.datetime) -> list[tuple[int, str | None]]:
    return [(one.window_id, one.problem) for one in write_occurrences(connection, "monitoring", now)]


def repeated(
    match: dict[str, str], first: dt.datetime, length: dt.timedelta, every: dt.timedelta, n: int
) -> list[Held]:
    """The same time of the day, by the clocks of the zone, again and again."""
    begins = [(first + number * every).astimezone(dt.UTC) for number in range(n)]
    return [(match, begin, begin + length) for begin in begins]


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25"),
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Australia/Lord_Howe", "2026-10-04"),
    ],
)
def test_each_day_is_what_lies_outside_of_windows(
    connection: Connection, config: Config, zone: str, change: str
) -> None:
    """Also of windows that were added when the days had been rolled up; a report of the month says the same."""
    order, place = random.Random(change), ZoneInfo(zone)
    local = dt.datetime.fromisoformat(change).replace(tzinfo=place)
    begin = dt.datetime.fromisoformat(change).replace(tzinfo=dt.UTC) - 2 * DAY
    rows = fill(connection, order, begin, 5)
    assert shown(connection) == expected(rows, [])
    held: list[Held] = []
    # Through the change, at a time that is left out or comes twice, and over midnight.
    for hour, minute, length in ((1, 40, 130 * MINUTE), (2, 15, 35 * MINUTE), (23, 30, 70 * MINUTE)):
        first = (local - 3 * DAY).replace(hour=hour, minute=minute)
        match = order.choice([{}, {"team": "shop"}, {"env": "prod"}])
        add_window(connection, match, first.astimezone(dt.UTC), length, zone, "FREQ=DAILY;COUNT=6")
        held += repeated(match, first, length, DAY, 6)
    # Whole hours, one that lies within another, two that touch, a whole day.
    for match, start, length in (
        ({}, begin + 9 * HOUR, 3 * HOUR),
        ({"team": "shop"}, begin + 10 * HOUR, HOUR),
        ({"team": "shop"}, begin + 14 * HOUR + 10 * MINUTE, 20 * MINUTE),
        ({"team": "shop"}, begin + 14 * HOUR + 30 * MINUTE, 50 * MINUTE),
        ({"env": "prod"}, begin + 3 * DAY, DAY),
        ({"team": "other"}, begin, 5 * DAY),
    ):
        add_window(connection, match, start, length)
        held.append((match, start, start + length))
    # Ended while it held, and before it held a second time.
    ended = begin + 4 * DAY + 4 * HOUR + 44 * MINUTE
    add_window(connection, {}, begin + 4 * DAY + 4 * HOUR, 2 * HOUR, "UTC", "FREQ=DAILY", ended)
    held.append(({}, begin + 4 * DAY + 4 * HOUR, ended))
    assert len(write(connection, begin + 6 * DAY)) == 10
    wanted = expected(rows, held)
    assert shown(connection) == wanted
    assert sum(left for *_, left in wanted.values()) > 500
    for month in {f"{day:%Y-%m}" for _, _, day in wanted}:
        report = make_report(config.database, Question(month, "UTC", Fraction(99), {}, None))
        for line in report.lines:
            mine = [one for (n, _, day), one in wanted.items() if n == line.target_id and f"{day:%Y-%m}" == month]
            if line.target_id != 2:  # that one is no longer due from when it was deleted
                assert (line.outside.up, line.outside.down, line.outside.unknown) == tuple(
                    sum(one[number] for one in mine) for number in range(3)
                )


def test_what_becomes_of_a_window_counts(connection: Connection) -> None:
    """Its labels, its end and its deletion at once; any other change from the next maintain on."""
    begin = dt.datetime(2026, 5, 4, tzinfo=dt.UTC)
    now = begin + 3 * DAY
    rows = fill(connection, random.Random(1), begin, 2)
    start = begin + 6 * HOUR
    number = add_window(connection, {"team": "shop"}, start, HOUR, "UTC", "FREQ=DAILY")
    assert write(connection, now) == [(number, None)]
    daily = [({"team": "shop"}, start, start + HOUR), ({"team": "shop"}, start + DAY, start + DAY + HOUR)]
    assert shown(connection) == expected(rows, daily)
    assert write(connection, now) == []
    change = "UPDATE monitoring.maintenance_window SET"
    connection.execute(f"{change} match = '{{}}', note = 'new disks'")
    assert write(connection, now) == []
    assert shown(connection) == expected(rows, [({}, a, b) for _, a, b in daily])
    connection.execute(f"{change} ended_at = %s", (start + 20 * MINUTE,))
    ended: list[Held] = [({}, start, start + 20 * MINUTE)]
    assert shown(connection) == expected(rows, ended)
    assert write(connection, now) == [(number, None)]
    assert shown(connection) == expected(rows, ended)
    connection.execute(f"{change} begins_at = %s, ends_at = %s, ended_at = NULL", (start + HOUR, start + 3 * HOUR))
    assert write(connection, now) == [(number, None)]
    moved: list[Held] = [({}, a + HOUR, b + 2 * HOUR) for _, a, b in daily]
    assert shown(connection) == expected(rows, moved)
    connection.execute("DELETE FROM monitoring.maintenance_window")
    assert shown(connection) == expected(rows, [])
    assert connection.execute("SELECT count(*) FROM monitoring.maintenance_occurrence").fetchone() == (0,)


def test_windows_are_written_as_far_back_as_there_are_rows_and_some_days_ahead(connection: Connection) -> None:
    """Once; later runs write what follows, and all of it when older rows come."""
    begin = dt.datetime(2026, 5, 4, tzinfo=dt.UTC)
    fill(connection, random.Random(1), begin, 1)
    # Two times of the day that are one moment where clocks are changed: it is one occurrence.
    add_window(connection, {}, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), MINUTE, "Europe/Berlin", "FREQ=HOURLY")

    def span() -> tuple[dt.datetime, dt.datetime, int]:
        row = connection.execute(
            "SELECT min(begins_at), max(begins_at), count(*) FROM maintenance_occurrence"
        ).fetchone()
        assert row
        return row[0], row[1], row[2]

    connection.execute("SET search_path TO monitoring")
    now = begin + 2 * DAY
    assert write(connection, now) == [(1, None)]
    assert span() == (begin, now + 8 * DAY - HOUR, 10 * 24)
    assert write(connection, now + 23 * HOUR) == []
    assert write(connection, now + 25 * HOUR) == [(1, None)]
    assert span() == (begin, now + 9 * DAY, 11 * 24 + 1)
    earlier = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)
    connection.execute(
        "INSERT INTO availability_result (target_id, location, scheduled_at, status, producer_id) "
        "VALUES (1, 'berlin', %s, 'up', 1)",
        (earlier,),
    )
    roll_up_all(connection)
    assert write(connection, now + 25 * HOUR) == [(1, None)]
    first = earlier.replace(hour=0)
    assert span() == (first, now + 9 * DAY, (now + 9 * DAY - first) // HOUR + 1)


def test_a_window_that_cannot_be_used_is_left_out_and_told(connection: Connection, config: Config) -> None:
    """By maintain and by the doctor, until it is corrected."""
    begin = dt.datetime(2026, 5, 4, tzinfo=dt.UTC)
    now = begin + 2 * DAY
    rows = fill(connection, random.Random(1), begin, 1)
    assert check_windows(connection, "monitoring").text == "all can be used"
    number = add_window(connection, {}, begin + HOUR, HOUR, "Europe/Berln", "FREQ=DAILY")
    why = "'Europe/Berln' is no time zone like Europe/Berlin"
    said = [done.text for done in maintain(config.database, now) if done.step == "windows"]
    assert said == [f"maintenance window {number}: left out, {why}"]
    assert shown(connection) == expected(rows, [])
    found = check_windows(connection, "monitoring")
    assert (found.level, found.text) == ("warn", f"window {number} never holds: {why}")
    connection.execute("UPDATE monitoring.maintenance_window SET zone = 'Europe/Berlin'")
    assert [done.text for done in maintain(config.database, now) if done.step == "windows"] == []
    assert shown(connection) == expected(rows, [({}, begin + HOUR, begin + 2 * HOUR)])
    assert check_windows(connection, "monitoring").level == "pass"


def test_an_hour_whose_rows_are_gone_counts_as_a_whole(connection: Connection) -> None:
    """For that of which it has more; hours that no window cuts stay exact."""
    begin = dt.datetime(2026, 5, 4, tzinfo=dt.UTC)
    rows = fill(connection, random.Random(1), begin, 1)
    add_window(connection, {}, begin + 6 * HOUR + 20 * MINUTE, 70 * MINUTE)
    add_window(connection, {}, begin + 7 * HOUR + 40 * MINUTE, 80 * MINUTE)
    write(connection, begin + 2 * DAY)
    connection.execute("DELETE FROM monitoring.availability_result")
    # Of the first hour 40 minutes are within; of the second 30 and 20; the third is within as a whole.
    assert shown(connection) == expected(rows, [({}, begin + 6 * HOUR, begin + 9 * HOUR)])
    connection.execute("DELETE FROM monitoring.maintenance_window")
    add_window(connection, {}, begin + 6 * HOUR + 30 * MINUTE, 50 * MINUTE)
    write(connection, begin + 2 * DAY)
    assert shown(connection) == expected(rows, [])
