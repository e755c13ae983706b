"""The API and `dbadmin report` say the same of the same rows."""

from __future__ import annotations

import datetime as dt
import random
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from dbadmin.history.rollups import dirty_days, dirty_hours, note_rolled_up, roll_up_day, roll_up_hour
from dbadmin.reports.making import make_report
from dbadmin.reports.model import Question
from monitoring_core.schedule import slots_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from dbadmin.reports.figures import Figures
    from monitoring_core.config import Config

    Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.integration_test

HOUR = dt.timedelta(hours=1)
DAY = 24 * HOUR
BEGIN = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
QUERY = {"from": "2024-05-01", "until": "2024-05-31", "limit": "2"}
REASONS = {"up": None, "down": "timeout", "unknown": "missed_window"}
TABLE = "monitoring.availability_monitor_config"


def slots(target_id: int, interval_s: int, begin: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    first, last = ((edge - EPOCH) // dt.timedelta(milliseconds=1) for edge in (begin, end))
    return (EPOCH + ms * dt.timedelta(milliseconds=1) for ms in slots_between(target_id, interval_s, first, last))


def add_target(connection: Connection, target_id: int, since: dt.datetime, interval_s: int | None, **more: Any) -> None:
    values = {"amc_id": target_id, "amc_url": f"https://{target_id}.example/", "amc_active": True}
    values |= {"amc_check_interval_s": interval_s, "amc_active_since": since, "amc_added_at": BEGIN - 9 * DAY} | more
    connection.execute(
        f"INSERT INTO {TABLE} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})",
        list(values.values()),
    )


def change(connection: Connection, target_id: int, at: dt.datetime, before: dict[str, object]) -> None:
    connection.execute(
        f"INSERT INTO {TABLE}_history (target_id, changed_at, change, before) VALUES (%s, %s, 'changed', %s)",
        (target_id, at, Jsonb(before)),
    )


def fill(connection: Connection, order: random.Random) -> None:
    """Three days of results of six targets from two locations, of which one came later; not every slot has one."""
    middle = BEGIN + DAY + dt.timedelta(hours=9, minutes=17, microseconds=300)
    later = middle + 7 * HOUR + dt.timedelta(minutes=21)
    times = {
        1: [(BEGIN - DAY, BEGIN + 4 * DAY, 600)],
        2: [(middle, BEGIN + 4 * DAY, 900)],
        # Its interval was changed within an hour.
        3: [(BEGIN - DAY, later, 1800), (later, BEGIN + 4 * DAY, 300)],
        # It was inactive for a while; the producer went on for some minutes.
        4: [(BEGIN - DAY, middle + dt.timedelta(minutes=25), 600), (later, BEGIN + 4 * DAY, 600)],
        # The configuration had a shorter interval then: there are more rows than slots.
        5: [(BEGIN - DAY, BEGIN + 4 * DAY, 600)],
        # It was deleted.
        7: [(BEGIN - DAY, later, 600)],
    }
    add_target(connection, 1, BEGIN - DAY, 600, amc_labels=Jsonb({"team": "shop"}))
    add_target(connection, 2, middle, 900, amc_added_at=middle)
    add_target(connection, 3, BEGIN - DAY, 300)
    change(connection, 3, later, {"amc_check_interval_s": 1800})
    add_target(connection, 4, later, 600)
    change(connection, 4, middle, {"amc_active": True})
    change(connection, 4, later, {"amc_active": False})
    add_target(connection, 5, BEGIN - DAY, None)
    add_target(connection, 7, BEGIN - DAY, 600, amc_labels=Jsonb({"team": "shop"}))
    connection.execute(f"DELETE FROM {TABLE} WHERE amc_id = 7")
    connection.execute(f"UPDATE {TABLE}_history SET changed_at = %s WHERE change = 'deleted'", (later,))
    add_target(connection, 8, BEGIN + 40 * DAY, 60, amc_added_at=BEGIN + 40 * DAY)
    rows = []
    for location in ("berlin", "tokyo"):
        connection.execute(
            "INSERT INTO monitoring.producer_lease VALUES (%s, 1, 'holder', now(), now(), now(), 900)", (location,)
        )
        for target_id, active in times.items():
            for begin, end, interval_s in active:
                first = max(begin, BEGIN + (location == "tokyo") * 30 * HOUR)
                for at in slots(target_id, interval_s, first, end):
                    if order.random() < 0.9:
                        status = order.choice(["up", "up", "down", "unknown"])
                        rows.append((target_id, location, at, status, REASONS[status]))
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO monitoring.availability_result (target_id, location, scheduled_at, status, reason, "
            "producer_id) VALUES (%s, %s, %s, %s, %s, 1)",
            rows,
        )
    connection.execute(
        "INSERT INTO monitoring.availability_dirty_hour SELECT DISTINCT date_trunc('hour', scheduled_at, 'UTC') "
        "FROM monitoring.availability_result"
    )
    for hour in dirty_hours(connection, "monitoring"):
        roll_up_hour(connection, "monitoring", hour)
    for day in dirty_days(connection, "monitoring"):
        roll_up_day(connection, "monitoring", day)
    # The hours of a marked day say more than it does.
    connection.execute("INSERT INTO monitoring.availability_dirty_day (day) VALUES (%s)", (BEGIN + 2 * DAY,))
    connection.execute("UPDATE monitoring.availability_daily SET up = 0 WHERE day = %s", (BEGIN + 2 * DAY,))
    connection.execute(
        "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at) VALUES ('{}', %s, %s)",
        (middle - HOUR, middle + 3 * HOUR),
    )


@pytest.mark.parametrize("rows_are_gone", [False, True])
@pytest.mark.parametrize("rolled_up", [BEGIN + 40 * DAY, BEGIN + 2 * DAY + dt.timedelta(hours=7, minutes=40)])
def test_the_api_says_what_a_report_says(
    connection: Connection, config: Config, serve: Callable[..., Any], rolled_up: dt.datetime, rows_are_gone: bool
) -> None:
    """Of every target and location: what was due, and what is known of it; slots without a row count in both."""
    fill(connection, random.Random(7))
    note_rolled_up(connection, "monitoring", rolled_up)
    if rows_are_gone:
        connection.execute("DELETE FROM monitoring.availability_result")
    said: dict[tuple[int, str | None], dict[str, Any]] = {}
    shown: list[tuple[int, str]] = []
    cursor = None
    served = serve()
    while True:
        page = served.get("/api/v1/reports/availability", params=QUERY | ({"cursor": cursor} if cursor else {})).json()
        shown += [(one["target_id"], str(one["location"])) for one in page["items"]]
        said |= {(one["target_id"], one["location"]): one for one in page["items"]}
        if not (cursor := page["next"]):
            break
    labelled = served.get("/api/v1/reports/availability", params=QUERY | {"limit": "9", "label": "team=shop"}).json()
    assert {one["target_id"] for one in labelled["items"]} == {1, 7}
    wanted: dict[tuple[int, str | None], Figures] = {}
    for location in ("berlin", "tokyo"):
        question = Question("2024-05", "UTC", Fraction(99), {}, location)
        wanted |= {(line.target_id, location): line.all for line in make_report(config.database, question).lines}
    assert said.pop((8, None)) | {"url": "", "labels": None} == {
        "target_id": 8,
        "url": "",
        "labels": None,
        "location": None,
        "due": 0,
        "up": 0,
        "down": 0,
        "unknown": 0,
        "availability": None,
        "coverage": None,
    }
    names = ("due", "up", "down", "unknown", "availability", "coverage")
    assert {place: tuple(one[name] for name in names) for place, one in said.items()} == {
        place: tuple(getattr(line, name) for name in names) for place, line in wanted.items()
    }
    assert len(wanted) == 12
    assert said[7, "berlin"]["url"] == "https://7.example/"
    assert shown == sorted(set(shown))
    assert any(line.absent for line in wanted.values())
    # Its rows are more than its slots, in as far as there are rows.
    assert (wanted[5, "berlin"].absent == 0) == (rolled_up < BEGIN + 3 * DAY)
