"""Reports of a month: every figure against the same counted row by row in plain Python, on a real PostgreSQL."""

from __future__ import annotations

import datetime as dt
import random
import zoneinfo
from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest
from psycopg.types.json import Jsonb
from rolled_up import roll_up_all

from dbadmin.history.rollups import note_rolled_up
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.reports.figures import Figures
from dbadmin.reports.making import make_report
from dbadmin.reports.model import Question
from monitoring_core.config import Config, load_config
from monitoring_core.schedule import slots_between
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.integration_test

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FOREVER = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
TABLES = ("result", "dirty_hour", "dirty_day", "hourly", "daily", "down_run", "incident", "state", "location", "pause")
LEFT_TO_CONFIGURATION = 1200


@attrs.frozen
class Truth:
    """A target, and the times in which it is active: begin, end and interval."""

    target_id: int
    labels: dict[str, str]
    active: tuple[tuple[dt.datetime, dt.datetime, int], ...]


@attrs.frozen
class Row:
    """What is stored of a check."""

    target_id: int
    location: str
    at: dt.datetime
    status: str


@attrs.define
class World:
    """All that there is, as the oracle knows it.

    Attributes:
        windows: labels, begin and end of each time in which a window holds.
        locations: when each is listed, and until when.
    """

    targets: list[Truth]
    rows: list[Row]
    windows: list[tuple[dict[str, str], dt.datetime, dt.datetime]]
    locations: dict[str, tuple[dt.datetime, dt.datetime]]


@pytest.fixture(scope="module")
def config(server: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    info = psycopg.conninfo.conninfo_to_dict(server)
    path = tmp_path_factory.mktemp("reports") / "config.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '127.0.0.1:1'}}\ndatabase: {{host: '{info['host']}', "
        f"port: {info.get('port', 5432)}, user: postgres, database: reports}}\n"
    )
    config = load_config(path, environ={})
    create_database(config.database)
    list(create_schema(config.database, dt.date(2024, 3, 1)))
    return config


@pytest.fixture
def connection(config: Config) -> Iterator[psycopg.Connection[Any]]:
    with connect(config.database, "test", autocommit=True) as made:
        made.execute("SET timezone = 'Asia/Kathmandu'")
        made.execute(
            "TRUNCATE monitoring.producer_lease, monitoring.availability_monitor_config,"
            " monitoring.maintenance_window CASCADE"
        )
        made.execute(
            f"TRUNCATE {', '.join(f'monitoring.availability_{t}' for t in (*TABLES, 'monitor_config_history'))}"
        )
        made.execute("UPDATE monitoring.availability_progress SET rolled_up_until = NULL")
        yield made


def slots_of(target_id: int, interval_s: int, begin: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    """The slots of a time, the end not included; a moment within a millisecond begins with the next one."""
    first, last = (-((EPOCH - edge) // dt.timedelta(milliseconds=1)) for edge in (begin, end))
    return (EPOCH + dt.timedelta(milliseconds=ms) for ms in slots_between(target_id, interval_s, first, last))


def add_target(
    connection: psycopg.Connection[Any], truth: Truth, intervals: Sequence[int | None], deleted: bool = False
) -> None:
    """Write a target and its changes down, as the triggers of the table would have done.

    Args:
        intervals: as the target says them, of each time in which it is active.
    """
    begun, ended, _ = truth.active[-1]
    active = ended == FOREVER
    target = {
        "amc_id": truth.target_id,
        "amc_url": f"https://website-{truth.target_id}.example/",
        "amc_active": active,
        "amc_check_interval_s": intervals[-1],
        "amc_labels": truth.labels or None,
        "amc_added_at": truth.active[0][0].isoformat(),
        "amc_active_since": begun.isoformat(),
    }
    history = (
        "INSERT INTO monitoring.availability_monitor_config_history (target_id, changed_at, change, before) VALUES "
    )
    pause = (
        "INSERT INTO monitoring.availability_pause (target_id, paused_at, resumed_at, cause) VALUES (%s, %s, %s, %s)"
    )
    times = list(truth.active)
    for (_, end, _), (begin, _, _), said, says in zip(times, times[1:], intervals, intervals[1:], strict=False):
        if end == begin:
            before = {"amc_check_interval_s": said}
            late = end + dt.timedelta(milliseconds=3)
            connection.execute(f"{history} (%s, %s, 'changed', %s)", (truth.target_id, late, Jsonb(before)))
            continue
        connection.execute(pause, (truth.target_id, end, begin, "deactivated"))
        connection.execute(f"{history} (%s, %s, 'changed', %s)", (truth.target_id, end, Jsonb({"amc_active": True})))
        changed = {"amc_active": False} | ({"amc_check_interval_s": said} if said != says else {})
        connection.execute(f"{history} (%s, %s, 'changed', %s)", (truth.target_id, begin, Jsonb(changed)))
    if ended != FOREVER:
        connection.execute(pause, (truth.target_id, ended, None, "deleted" if deleted else "deactivated"))
        kind = ("deleted", {k: v for k, v in target.items() if v is not None and k != "amc_active_since"})
        if not deleted:
            kind = ("changed", {"amc_active": True})
        else:
            kind[1]["amc_active"] = True
        connection.execute(f"{history} (%s, %s, %s, %s)", (truth.target_id, ended, kind[0], Jsonb(kind[1])))
    if not deleted:
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config SELECT * FROM jsonb_populate_record("
            "NULL::monitoring.availability_monitor_config, %s)",
            (Jsonb(target),),
        )


def store(connection: psycopg.Connection[Any], rows: Sequence[Row]) -> None:
    """Store rows and roll them up."""
    with (
        connection.cursor() as cursor,
        connection.transaction(),
        cursor.copy(
            "COPY monitoring.availability_result (target_id, location, scheduled_at, status, reason, producer_id) "
            "FROM STDIN"
        ) as copy,
    ):
        for row in rows:
            reason = {"up": None, "down": "timeout", "unknown": "missed_window"}[row.status]
            copy.write_row((row.target_id, row.location, row.at, row.status, reason, 1))
    roll_up_all(connection)


def add_window(
    connection: psycopg.Connection[Any],
    match: dict[str, str],
    begin: dt.datetime,
    length: dt.timedelta,
    zone: str = "UTC",
    every: str | None = None,
) -> None:
    connection.execute(
        "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at, zone, recurrence) "
        "VALUES (%s, %s, %s, %s, %s)",
        (Jsonb(match), begin, begin + length, zone, every),
    )


def month(name: str, zone: str) -> tuple[dt.datetime, dt.datetime]:
    year, number = map(int, name.split("-"))
    place = zoneinfo.ZoneInfo(zone)
    begin = dt.datetime(year, number, 1, tzinfo=place)
    end = dt.datetime(year + number // 12, number % 12 + 1, 1, tzinfo=place)
    return begin.astimezone(dt.UTC), end.astimezone(dt.UTC)


def make_world(connection: psycopg.Connection[Any], order: random.Random, name: str, zone: str) -> World:
    """A month with everything in it; there are rows of a few stretches, and in the rest nobody checked."""
    begin, end = month(name, zone)
    stretches = [begin - 3 * HOUR, begin + 13 * DAY + 20 * HOUR, end - 22 * HOUR]

    def somewhen(number: int) -> dt.datetime:
        return stretches[number] + dt.timedelta(microseconds=order.randrange(20 * 3_600_000_000))

    middle, later = sorted((somewhen(1), somewhen(1)))
    targets = [
        Truth(1, {}, ((begin - 40 * DAY, FOREVER, 900),)),
        Truth(2, {"team": "shop"}, ((somewhen(1), FOREVER, LEFT_TO_CONFIGURATION),)),
        Truth(
            3,
            {"team": "shop"},
            ((begin - 9 * DAY, middle, 1800), (later, later + 2 * HOUR, 1800), (later + 2 * HOUR, FOREVER, 600)),
        ),
        Truth(4, {"team": "old", "x": "1"}, ((begin - 50 * DAY, somewhen(1), 900),)),
        Truth(5, {"team": "old"}, ((begin - 50 * DAY, somewhen(0), 3600), (somewhen(1), somewhen(2), 3600))),
    ]
    said: dict[int, list[int | None]] = {2: [None]}
    for target in targets:
        intervals = said.get(target.target_id, [interval for *_, interval in target.active])
        add_target(connection, target, intervals, deleted=target.target_id in (4, 5))
    for location in ("here", "there"):
        connection.execute(
            "INSERT INTO monitoring.producer_lease VALUES (%s, 1, 'holder', now(), now(), now(), %s)",
            (location, LEFT_TO_CONFIGURATION),
        )
    rows: dict[tuple[int, str, dt.datetime], str] = {}
    for target in targets:
        rows |= make_rows(order, target, "here", stretches) | make_rows(order, target, "there", stretches[1:])
    found = [Row(target_id, location, at, status) for (target_id, location, at), status in sorted(rows.items())]
    store(connection, found)
    locations = {name: (min(row.at for row in found if row.location == name), FOREVER) for name in ("here", "there")}
    if order.random() < 0.5:
        locations["there"] = (locations["there"][0], somewhen(2))
        connection.execute(
            "UPDATE monitoring.availability_location SET forgotten_at = %s WHERE location = 'there'",
            (locations["there"][1],),
        )
    return World(targets, found, make_windows(connection, order, stretches, zone), locations)


def make_rows(
    order: random.Random, target: Truth, location: str, stretches: Sequence[dt.datetime]
) -> dict[tuple[int, str, dt.datetime], str]:
    """Most slots of a day from each moment on, and a status that lasts."""
    rows = {}
    for start in stretches:
        for active, ended, interval in target.active:
            # A producer goes on for a while after a change of which it has not heard.
            until = min(ended + dt.timedelta(minutes=order.choice([0, 0, 25])), start + DAY)
            status = "up"
            for at in slots_of(target.target_id, interval, max(active, start), until):
                if order.random() < 0.12:
                    status = order.choice(["up", "up", "down", "unknown"])
                if order.random() > 0.03:
                    rows[target.target_id, location, at] = status
    return rows


def make_windows(
    connection: psycopg.Connection[Any], order: random.Random, stretches: Sequence[dt.datetime], zone: str
) -> list[tuple[dict[str, str], dt.datetime, dt.datetime]]:
    """Windows that overlap, that touch, of whole hours and not, and one every day at the same time of the zone."""
    windows = []
    for start in stretches:
        for _ in range(3):
            begin = start + dt.timedelta(minutes=5 * order.randrange(20 * 12), microseconds=order.choice([0, 0, 1500]))
            length = dt.timedelta(minutes=order.choice([5, 30, 60, 95, 180]))
            match = order.choice([{}, {"team": "shop"}, {"team": "old", "x": "1"}])
            add_window(connection, match, begin, length)
            windows.append((match, begin, begin + length))
    place = zoneinfo.ZoneInfo(zone)
    first = (stretches[0] - DAY).astimezone(place).replace(hour=4, minute=30, second=0, microsecond=0)
    add_window(connection, {"team": "shop"}, first, 2 * HOUR, zone, "FREQ=DAILY")
    for number in range(40):
        begin = (first + number * DAY).astimezone(dt.UTC)  # the same time of the day, whatever its offset
        windows.append(({"team": "shop"}, begin, begin + 2 * HOUR))
    return windows


def expected(
    world: World, question: Question, begin: dt.datetime, until: dt.datetime
) -> dict[int, tuple[Figures, Figures]]:
    """The figures of each target, counted row by row and slot by slot."""
    found = {}
    for target in world.targets:
        spans = {
            name: [
                (max(a, first, begin), min(b, last, until), interval)
                for a, b, interval in target.active
                if max(a, first, begin) < min(b, last, until)
            ]
            for name, (first, last) in world.locations.items()
            if question.location in (None, name)
        }
        if not question.labels.items() <= target.labels.items() or not any(spans.values()):
            continue
        windows = [(a, b) for match, a, b in world.windows if match.items() <= target.labels.items()]
        kinds = kinds_of(world, target, spans, windows)
        down = joined_incidents(world, target, spans, begin, until)
        found[target.target_id] = (
            counted(kinds, [(end - start, over) for start, end, over in down], question),
            counted(
                {kind: some for kind, some in kinds.items() if not kind[3]},
                [(outside(start, end, windows), over) for start, end, over in down],
                question,
            ),
        )
    return found


def kinds_of(world: World, target: Truth, spans: Any, windows: Any) -> dict[Any, dict[str, int]]:
    """Of each location, interval, number of locations and whether in a window: the slots due, and rows by status."""

    def seats(at: dt.datetime) -> int:
        return sum(any(a <= at < b for a, b, _ in some) for some in spans.values())

    def in_window(at: dt.datetime) -> bool:
        return any(a <= at < b for a, b in windows)

    kinds: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for name, some in spans.items():
        rows = [row for row in world.rows if (row.target_id, row.location) == (target.target_id, name)]
        for a, b, interval in some:
            for at in slots_of(target.target_id, interval, a, b):
                kinds[name, interval, seats(at), in_window(at)]["due"] += 1
            for row in rows:
                if a <= row.at < b:
                    kinds[name, interval, seats(row.at), in_window(row.at)][row.status] += 1
    return kinds


def outside(begin: dt.datetime, end: dt.datetime, windows: Sequence[tuple[dt.datetime, dt.datetime]]) -> dt.timedelta:
    """How much of a time is outside of all windows, bit by bit between all their edges."""
    edges = sorted({begin, end, *(edge for one in windows for edge in one if begin < edge < end)})
    return sum(
        (b - a for a, b in zip(edges, edges[1:], strict=False) if not any(x <= a and b <= y for x, y in windows)),
        dt.timedelta(),
    )


def joined_incidents(
    world: World, target: Truth, spans: Any, begin: dt.datetime, until: dt.datetime
) -> list[tuple[dt.datetime, dt.datetime, bool]]:
    """From a down to an up or a pause of the target; those of several locations that overlap are one."""
    single = []
    for name in spans:
        rows = [row for row in world.rows if (row.target_id, row.location) == (target.target_id, name)]
        for active, ended, _ in join_edits(target.active):
            open_since = None
            for row in rows:
                if not active <= row.at < ended:
                    continue
                if row.status == "down" and open_since is None:
                    open_since = row.at
                elif row.status == "up" and open_since is not None:
                    single.append((open_since, row.at, True))
                    open_since = None
            if open_since is not None:
                single.append((open_since, ended, False))
    clipped = sorted(
        (max(a, begin), min(b, until), over and b <= until) for a, b, over in single if a < until and b > begin
    )
    joined: list[tuple[dt.datetime, dt.datetime, bool]] = []
    for a, b, over in clipped:
        if joined and a <= joined[-1][1]:
            c, d, before = joined.pop()
            joined.append((c, max(b, d), over if b > d else before if b < d else over and before))
        else:
            joined.append((a, b, over))
    return joined


def join_edits(active: Sequence[tuple[dt.datetime, dt.datetime, int]]) -> list[tuple[dt.datetime, dt.datetime, int]]:
    """An edit of the interval does not end an incident."""
    found = [active[0]]
    for a, b, interval in active[1:]:
        if found[-1][1] == a:
            found[-1] = (found[-1][0], b, interval)
        else:
            found.append((a, b, interval))
    return found


def counted(kinds: Any, down: Sequence[tuple[dt.timedelta, bool]], question: Question) -> Figures:
    up = sum(some["up"] for some in kinds.values())
    bad = sum(some["down"] for some in kinds.values())
    unknown = sum(some["unknown"] for some in kinds.values())
    slots: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for (name, interval, _, _), some in kinds.items():
        slots[name, interval][0] += some["due"]
        slots[name, interval][1] += some["up"] + some["down"] + some["unknown"]
    due = sum(max(each) for each in slots.values())
    down_s = sum(
        (Fraction(some["down"] * interval, seats) for (_, interval, seats, _), some in kinds.items()), Fraction()
    )
    known_s = sum(
        (Fraction((some["up"] + some["down"]) * interval, seats) for (_, interval, seats, _), some in kinds.items()),
        Fraction(),
    )
    lasted = [(Fraction(length // dt.timedelta(microseconds=1), 60_000_000), over) for length, over in down if length]
    recovered = [length for length, over in lasted if over]
    left = (1 - question.objective / 100) * known_s - down_s
    return Figures(
        due=due,
        up=up,
        down=bad,
        unknown=unknown,
        absent=due - up - bad - unknown,
        availability=(up * 10**6 // (up + bad)) / 10**6 if up + bad else None,
        coverage=((up + bad) * 10**6 // due) / 10**6 if due else None,
        downtime_minutes=float(round(down_s / 60, 2)),
        incidents=len(lasted),
        mttr_minutes=float(round(sum(recovered, Fraction()) / len(recovered), 2)) if recovered else None,
        longest_minutes=float(round(max(length for length, _ in lasted), 2)) if lasted else None,
        budget_left_minutes=left * 100 // 60 / 100 if up + bad else None,
    )


def asked(name: str, zone: str = "UTC", location: str | None = None, **labels: str) -> Question:
    return Question(name, zone, Fraction("99.9"), labels, location)


@pytest.mark.parametrize(
    ("name", "zone", "seed"),
    [
        ("2024-02", "UTC", 1),
        ("2024-03", "Europe/Berlin", 2),  # an hour shorter
        ("2024-11", "America/New_York", 3),  # an hour longer
        ("2024-04", "Asia/Kathmandu", 4),  # begins in the middle of an hour
        ("2024-10", "Australia/Lord_Howe", 5),  # half an hour shorter
        ("2024-12", "UTC", 6),
    ],
)
def test_every_figure_is_that_of_a_count_of_rows(
    connection: psycopg.Connection[Any], config: Config, name: str, zone: str, seed: int
) -> None:
    """Whatever was added, paused, deleted, edited, forgotten or under maintenance, in all of the month or in a part."""
    order = random.Random(seed)
    world = make_world(connection, order, name, zone)
    begin, end = month(name, zone)
    # What is marked is not taken from the day.
    for day in (begin + DAY, end - 10 * HOUR):
        midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
        connection.execute("UPDATE monitoring.availability_daily SET up = 0, down = up WHERE day = %s", (midnight,))
        connection.execute("INSERT INTO monitoring.availability_dirty_day (day) VALUES (%s)", (midnight,))
    halfway = begin + 14 * DAY + order.randrange(9) * HOUR + dt.timedelta(minutes=order.randrange(60))
    for rolled_up in (end + DAY, halfway):
        note_rolled_up(connection, "monitoring", rolled_up)
        until = min(end, (rolled_up - dt.timedelta(minutes=10)).replace(minute=0, second=0, microsecond=0))
        for question in (
            asked(name, zone),
            asked(name, zone, team="shop"),
            asked(name, zone, location="here"),
            asked(name, zone, "there"),
        ):
            report = make_report(config.database, question)
            assert (report.begin, report.until, report.end) == (begin, until, end)
            assert report.inexact_hours == 0
            lines = {line.target_id: (line.all, line.outside) for line in report.lines}
            wanted = expected(world, question, begin, until)
            assert lines == wanted
            if question == asked(name, zone) and until == end:  # it is not because nothing happened
                assert len(lines) >= 4
                assert any(line.all.down and line.all.unknown and line.all.absent for line in report.lines)
                assert any(line.all != line.outside for line in report.lines)
            assert report.summary.all.down == sum(line.all.down for line in report.lines)
            assert report.summary.outside.incidents == sum(line.outside.incidents for line in report.lines)
            assert report.summary.targets == report.summary.met + report.summary.missed + report.summary.not_known


@pytest.mark.parametrize("gone", [False, True])
def test_a_cut_hour_is_exact_without_its_rows_when_all_its_checks_are_alike(
    connection: psycopg.Connection[Any], config: Config, gone: bool
) -> None:
    """Else it is counted whole for the part that has the most of it, and the report says so."""
    begin = dt.datetime(2024, 5, 7, 12, tzinfo=dt.UTC)
    truth = Truth(1, {}, ((begin - DAY, FOREVER, 60),))
    add_target(connection, truth, [60])
    slots = list(slots_of(1, 60, begin - HOUR, begin + 3 * HOUR))
    rows = [Row(1, "here", at, "down" if number in (121, 179) else "up") for number, at in enumerate(slots)]
    store(connection, rows)
    # The window's first hour is up throughout; of its second, the last quarter is outside, with one of its downs.
    add_window(connection, {}, begin + dt.timedelta(minutes=20), dt.timedelta(minutes=85))
    note_rolled_up(connection, "monitoring", begin + 30 * DAY)
    if gone:
        connection.execute("DELETE FROM monitoring.availability_result")
    report = make_report(config.database, asked("2024-05"))
    (line,) = report.lines
    assert (line.all.up, line.all.down) == (238, 2)
    # The other one is the hour in which the location was first seen.
    assert report.inexact_hours == (2 if gone else 0)
    assert (line.outside.up, line.outside.down) == ((60 + 20 + 60, 0) if gone else (60 + 20 + 14 + 60, 1))


def test_the_view_of_what_was_due_follows_what_is_done_to_a_target(connection: psycopg.Connection[Any]) -> None:
    """By the triggers of the table, not by rows that a test made up: times never overlap, and none is left out."""
    connection.execute("INSERT INTO monitoring.availability_location VALUES ('here', now() - interval '1 day')")
    connection.execute("SET search_path TO monitoring")
    table = "availability_monitor_config"
    for statement in (
        f"INSERT INTO {table} (amc_id, amc_url, amc_check_interval_s) VALUES (7, 'https://me:secret@a.example/', 60)",
        f"UPDATE {table} SET amc_timeout_s = 3, amc_url = 'https://me:secret@b.example/'",
        f"UPDATE {table} SET amc_check_interval_s = 300",
        f"UPDATE {table} SET amc_check_interval_s = NULL",
        f"UPDATE {table} SET amc_active = false",
        f"UPDATE {table} SET amc_check_interval_s = 90",
        f"UPDATE {table} SET amc_active = true, amc_labels = '{{}}'",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} (amc_id, amc_url, amc_active) VALUES (7, 'https://c.example/', false)",
        f"UPDATE {table} SET amc_active = true",
    ):
        connection.execute(statement)
    found = connection.execute(
        "SELECT check_interval_s, due_from, due_until, url, labels FROM website_due ORDER BY due_from"
    ).fetchall()
    assert [row[0] for row in found] == [60, 300, 60, 90, 60]
    assert [row[3] for row in found] == ["https://b.example/"] * 4 + ["https://c.example/"]
    assert [row[4] for row in found] == [{}] * 4 + [None]
    begins, ends = [row[1] for row in found], [row[2] for row in found]
    assert ends[-1] is None
    assert all(begin < end for begin, end in zip(begins, ends, strict=False) if end)
    assert ends[:2] == begins[1:3]  # an edit leaves no gap
    assert ends[2] < begins[3]  # a pause does
    assert ends[3] < begins[4]
