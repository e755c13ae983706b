"""What people see is true: stale is not up, what is no longer checked is over, and an edit does not relabel history."""

from __future__ import annotations

import datetime as dt
import random
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from psycopg.types.json import Jsonb

from dbadmin.cli import main
from dbadmin.doctor.targets import check_targets
from dbadmin.history.maintain import maintain
from dbadmin.history.rollups import dirty_hours, roll_up_hour
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.targets.table import find, set_active
from monitoring_core.config import load_config
from monitoring_core.tables import TARGET_COLUMNS
from monitoring_core.testing import strategies
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitoring_core.config import Config
    from monitoring_core.targets import TargetRecord

pytestmark = pytest.mark.integration_test

T = "monitoring.availability_monitor_config"
SECOND = dt.timedelta(seconds=1)
MINUTE = 60 * SECOND


@pytest.fixture
def connection(config: Config) -> Iterator[psycopg.Connection[Any]]:
    """A database of the test's own."""
    create_database(config.database)
    list(create_schema(config.database, dt.datetime.now(dt.UTC).date()))
    with connect(config.database, "test", autocommit=True) as made:
        yield made


def now(connection: psycopg.Connection[Any]) -> dt.datetime:
    moment: dt.datetime = one(connection, "SELECT clock_timestamp()")
    return moment


def one(connection: psycopg.Connection[Any], query: str, *values: object) -> Any:
    row = connection.execute(query, values).fetchone()
    assert row
    return row[0]


def add(connection: psycopg.Connection[Any], url: str, **fields: object) -> int:
    """Add a target that has been active for a day; returns its id."""
    columns = {"amc_url": url, **fields}
    marks = ", ".join(["%s"] * len(columns))
    statement = f"INSERT INTO {T} ({', '.join(columns)}, amc_active_since) VALUES ({marks}, now() - interval '1 day')"
    return int(one(connection, f"{statement} RETURNING amc_id", *columns.values()))


def store(connection: psycopg.Connection[Any], target_id: int, at: dt.datetime, status: str, **values: object) -> None:
    """As a consumer does: a row, and the mark of its hour."""
    reason = {"up": None, "down": "timeout", "unknown": "missed_window"}[status]
    row = {"target_id": target_id, "scheduled_at": at, "status": status, "reason": reason, "location": "here"} | values
    with connection.transaction():
        connection.execute(
            f"INSERT INTO monitoring.availability_result ({', '.join(row)}, producer_id) "
            f"VALUES ({', '.join(['%s'] * len(row))}, 1)",
            list(row.values()),
        )
        mark = "INSERT INTO monitoring.availability_dirty_hour VALUES (date_trunc('hour', %s::timestamptz, 'UTC'))"
        connection.execute(mark, (at,))


def status(connection: psycopg.Connection[Any], columns: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        f"SELECT {columns} FROM monitoring.website_status ORDER BY target_id, location"
    ).fetchall()


def run(config: Config) -> None:
    list(maintain(config.database, dt.datetime.now(dt.UTC)))


def dbadmin(file: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, [*arguments, "--config", str(file)])
    return done.exit_code, done.output


# The age of the newest result, the interval and the timeout in seconds, and whether the status is stale then.
AGES = [(95, None, None, False), (105, None, None, True), (35, 1, 0.5, True), (25, 1, 0.5, False),
        (300, 300, 60, False), (400, 300, 60, True)]  # fmt: skip


@pytest.mark.parametrize("maintained", [False, True], ids=["from the rows", "from the state"])
@pytest.mark.parametrize(("age_s", "interval_s", "timeout_s", "stale"), AGES)
def test_a_status_is_stale_when_the_next_result_should_be_here(
    connection: psycopg.Connection[Any],
    config: Config,
    maintained: bool,
    age_s: int,
    interval_s: int | None,
    timeout_s: float | None,
    stale: bool,
) -> None:
    """After the interval, the timeout and half a minute it is unknown, whatever it was."""
    target_id = add(connection, "http://a/", amc_check_interval_s=interval_s, amc_timeout_s=timeout_s)
    connection.execute(f"UPDATE {T} SET amc_active_since = now() - interval '1 day'")
    connection.execute("INSERT INTO monitoring.producer_lease VALUES ('here', 1, 'me', now(), now())")
    at = now(connection) - age_s * SECOND
    store(connection, target_id, at, "up", finished_at=at + SECOND)
    if maintained:
        run(config)
    (found,) = status(connection, "status, reason, since, stale, last_check_at, checked_at, active")
    first_late = at + (interval_s or 60) * SECOND
    expected = ("unknown", "stale", first_late) if stale else ("up", None, at)
    assert found == (*expected, stale, at, at + SECOND, True)
    ((age,),) = status(connection, "age")
    assert age_s - 1 <= age.total_seconds() < age_s + 20


def test_what_producers_take_for_a_target_that_says_nothing_counts(connection: psycopg.Connection[Any]) -> None:
    """An interval of the configuration, which PostgreSQL learns from the leases."""
    target_id = add(connection, "http://a/")
    connection.execute(
        "INSERT INTO monitoring.producer_lease (location, producer_id, holder, expires_at, accounted_until, "
        "check_interval_s, timeout_s) VALUES ('here', 1, 'me', now(), now(), 600, 20)"
    )
    store(connection, target_id, now(connection) - 640 * SECOND, "up")
    assert status(connection, "status, stale") == [("up", False)]
    connection.execute("UPDATE monitoring.producer_lease SET check_interval_s = 580")
    assert status(connection, "status, stale") == [("unknown", True)]


def test_a_target_that_is_not_checked_says_so_and_begins_anew(
    connection: psycopg.Connection[Any], config: Config
) -> None:
    """Inactive is neither up nor stale; what was before says nothing about a target that is active again."""
    target_id = add(connection, "http://a/")
    began = now(connection) - 50 * MINUTE
    store(connection, target_id, began, "up")
    store(connection, target_id, now(connection) - 5 * SECOND, "up")
    run(config)
    assert status(connection, "status, since") == [("up", began)]
    set_active(config.database, False, ["1"])
    columns = "status, reason, active, stale, last_check_at IS NULL"
    for _ in range(2):
        assert status(connection, columns) == [("unknown", "inactive", False, False, False)]
        run(config)
    set_active(config.database, True, ["1"])
    for _ in range(2):
        assert status(connection, columns) == [("unknown", "not_checked_yet", True, False, True)]
        run(config)
    activated = one(connection, "SELECT resumed_at FROM monitoring.availability_pause")
    connection.execute("INSERT INTO monitoring.producer_lease VALUES ('here', 1, 'me', now(), now())")
    store(connection, target_id, now(connection), "up")
    for _ in range(2):
        assert status(connection, "status, since") == [("up", activated)]
        run(config)


def test_why_it_is_down_and_whose_it_is(connection: psycopg.Connection[Any], config: Config) -> None:
    """Error, address, certificate and labels, before maintenance and after it."""
    labels = {"team": "shop"}
    target_id = add(connection, "http://user:secret@a/", amc_labels=Jsonb(labels))
    connection.execute("INSERT INTO monitoring.producer_lease VALUES ('here', 1, 'me', now(), now())")
    why = {
        "error": "certificate has expired",
        "remote_address": "192.0.2.7",
        "certificate_subject": "a",
        "certificate_issuer": "CA",
    }
    store(connection, target_id, now(connection) - 5 * SECOND, "down", **why)
    for _ in range(2):
        assert status(connection, f"url, status, {', '.join(why)}, labels") == [
            ("http://a/", "down", *why.values(), labels)
        ]
        run(config)
    shown = f"SELECT url, status, {', '.join(why)}, labels FROM monitoring.website_check WHERE target_id = 1"
    assert connection.execute(shown).fetchall() == [("http://a/", "down", *why.values(), labels)]
    for view in ("incident", "reason_hourly", "availability_hourly", "availability_daily", "coverage_hourly"):
        assert one(connection, f"SELECT labels FROM monitoring.website_{view}") == labels


def incidents(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    columns = "target_id, began_at, ended_at, end_reason, checks"
    return connection.execute(f"SELECT {columns} FROM monitoring.website_incident ORDER BY 1, 2").fetchall()


def test_incidents_end_when_their_target_is_no_longer_checked(
    connection: psycopg.Connection[Any], config: Config
) -> None:
    """With the reason; a check that a producer still made afterwards opens none, and one after a new start does."""
    ids = [add(connection, f"http://w{number}/") for number in range(4)]
    at = now(connection) - MINUTE
    for target_id in ids:
        store(connection, target_id, at, "down")
    run(config)
    assert incidents(connection) == [(target_id, at, None, None, 1) for target_id in ids]
    set_active(config.database, False, [str(ids[0]), str(ids[1])])
    connection.execute(f"DELETE FROM {T} WHERE amc_id = %s", (ids[2],))
    for target_id in ids[:3]:
        store(connection, target_id, now(connection), "down")
    paused = dict(connection.execute("SELECT target_id, paused_at FROM monitoring.availability_pause").fetchall())
    over = [
        (ids[0], at, paused[ids[0]], "deactivated", 1),
        (ids[1], at, paused[ids[1]], "deactivated", 1),
        (ids[2], at, paused[ids[2]], "deleted", 1),
    ]
    run(config)
    assert incidents(connection) == [*over, (ids[3], at, None, None, 1)]
    set_active(config.database, True, [str(ids[0])])
    again = now(connection)
    store(connection, ids[0], again, "down")
    up = now(connection)
    store(connection, ids[3], up, "up")
    run(config)
    new = (ids[0], again, None, None, 1)
    assert incidents(connection) == [over[0], new, *over[1:], (ids[3], at, up, "recovered", 1)]


@pytest.mark.parametrize("seed", range(20))
def test_incidents_with_pauses_are_the_same_in_whatever_order_hours_are_rolled_up(
    connection: psycopg.Connection[Any], seed: int
) -> None:
    """Checks and pauses at random over six hours; hours at random, between the changes too."""
    order = random.Random(seed)
    target_id, hour = add(connection, "http://a/"), dt.timedelta(hours=1)
    base = now(connection).replace(minute=0, second=0, microsecond=0) - 6 * hour
    moments = [base + number * 10 * MINUTE for number in range(36)]
    kinds = {at: order.choice(["up", "down", "down", "down", "unknown"]) for at in moments}
    pauses = sorted(order.sample(moments[1:], 4))
    pauses = [at + MINUTE for at in pauses]
    spans = [(pauses[0], pauses[1]), (pauses[2], pauses[3] if seed % 2 else None)]
    steps: list[tuple[str, Any]] = [("row", at) for at in moments] + [("pause", span) for span in spans]
    order.shuffle(steps)
    for kind, what in steps:
        if kind == "row":
            store(connection, target_id, what, kinds[what])
        else:
            connection.execute(
                "INSERT INTO monitoring.availability_pause (target_id, paused_at, resumed_at, cause) "
                "VALUES (%s, %s, %s, 'deactivated')",
                (target_id, *what),
            )
            for number in range(6):  # as if the rows of later hours came after the pause was known
                connection.execute(
                    "INSERT INTO monitoring.availability_dirty_hour VALUES (%s)", (base + number * hour,)
                )
        if order.random() < 0.3:
            roll_up_hour(connection, "monitoring", order.choice(dirty_hours(connection, "monitoring")))
    for at in order.sample(rest := dirty_hours(connection, "monitoring"), len(rest)):
        roll_up_hour(connection, "monitoring", at)
    assert incidents(connection) == list(expected_incidents(target_id, kinds, spans))


def expected_incidents(
    target_id: int, kinds: dict[dt.datetime, str], spans: list[tuple[dt.datetime, dt.datetime | None]]
) -> Iterator[tuple[Any, ...]]:
    points = [(at, kind) for at, kind in kinds.items() if kind != "unknown"] + [(begin, "pause") for begin, _ in spans]
    downs: list[dt.datetime] = []
    for at, kind in sorted(points):
        if kind == "down":
            if not any(begin <= at and (end is None or at < end) for begin, end in spans):
                downs.append(at)
        elif downs:
            yield target_id, downs[0], at, "recovered" if kind == "up" else "deactivated", len(downs)
            downs = []
    if downs:
        yield target_id, downs[0], None, None, len(downs)


def test_an_edit_of_a_url_does_not_relabel_history(connection: psycopg.Connection[Any], config: Config) -> None:
    """Each row has the URL of its time, also when the target is deleted."""
    target_id = add(connection, "http://user:secret@old/")
    first = now(connection)
    store(connection, target_id, first, "down")
    connection.execute(f"UPDATE {T} SET amc_url = 'http://new/'")
    second = now(connection)
    store(connection, target_id, second, "up")
    run(config)
    checks = "SELECT url FROM monitoring.website_check ORDER BY scheduled_at"
    for _ in range(2):
        assert connection.execute(checks).fetchall() == [("http://old/",), ("http://new/",)]
        assert one(connection, "SELECT url FROM monitoring.website_incident") == "http://old/"
        connection.execute(f"DELETE FROM {T}")


def test_the_history_of_a_target_is_kept_without_its_secrets(
    connection: psycopg.Connection[Any], config: Config, config_file: Path
) -> None:
    """Who, when, and what was before; a statement that changes nothing leaves no trace."""
    target_id = add(connection, "http://user:pass@a/", amc_headers=Jsonb({"Authorization": "Bearer hush"}))
    connection.execute(f"UPDATE {T} SET amc_active = true")
    connection.execute(f"UPDATE {T} SET amc_url = 'http://b/', amc_regexp = 'x', amc_headers = NULL")
    set_active(config.database, False, [str(target_id)])
    exit_code, said = dbadmin(config_file, "targets", "history", "http://b/")
    lines = [line.split() for line in said.splitlines()]
    assert exit_code == 0
    assert [line[3:] for line in lines[1:]] == [
        ["postgres", "added"],
        ["postgres", "test", "changed", "url:", "http://a/,", "regexp:", "null,", "headers:", "(not", "kept)"],
        ["postgres", "dbadmin", "changed", "active:", "true"],
    ]
    connection.execute(f"DELETE FROM {T}")
    exit_code, said = dbadmin(config_file, "targets", "history", str(target_id))
    assert "deleted" in said.splitlines()[-1]
    assert "regexp: x" in said.splitlines()[-1]
    assert not any(secret in said for secret in ("hush", "pass"))
    assert dbadmin(config_file, "targets", "history", "77") == (1, "there neither is nor was a target 77\n")


def test_many_changes_after_one_in_a_session_take_time_in_proportion(connection: psycopg.Connection[Any]) -> None:
    """How the triggers compare targets is not planned for the first change; all is written down."""
    connection.execute(
        f"INSERT INTO {T} (amc_url) SELECT 'https://' || i || '.example/' FROM generate_series(1, 9500) i"
    )
    connection.execute(f"UPDATE {T} SET amc_regexp = 'a' WHERE amc_id = 1")
    connection.execute(f"UPDATE {T} SET amc_active = false WHERE amc_id = 1")
    connection.execute("SET statement_timeout = '10s'")
    connection.execute(f"UPDATE {T} SET amc_regexp = 'b', amc_active = false")
    connection.execute(f"UPDATE {T} SET amc_active = true")
    assert one(connection, f"SELECT count(*) FROM {T}_history") == 2 + 9_500 + 9_500
    assert one(connection, "SELECT count(*) FROM monitoring.availability_pause WHERE resumed_at IS NOT NULL") == 9_500
    assert one(connection, "SELECT count(*) FROM monitoring.availability_dirty_hour") > 0


def test_truncated_targets_are_deleted_ones(connection: psycopg.Connection[Any]) -> None:
    """Their history and their pauses are written before they are gone."""
    ids = [add(connection, f"http://w{number}/") for number in range(2)]
    connection.execute(f"TRUNCATE {T}")
    found = connection.execute("SELECT target_id, change FROM monitoring.availability_monitor_config_history")
    assert sorted(found.fetchall()) == [(target_id, "deleted") for target_id in ids]
    assert one(connection, "SELECT count(*) FROM monitoring.availability_pause WHERE cause = 'deleted'") == 2


def test_a_location_is_listed_when_it_has_results_and_forgotten_on_request(
    connection: psycopg.Connection[Any], config: Config, config_file: Path
) -> None:
    """One that was a mistake leaves no rows behind, and a producer at work keeps its location."""
    ids = [add(connection, f"http://w{number}/") for number in range(2)]
    for location in ("here", "oops"):
        connection.execute(
            "INSERT INTO monitoring.producer_lease VALUES (%s, 1, 'me', now() + interval '1 hour', now())", (location,)
        )
        store(connection, ids[0], now(connection), "down", location="here")
    places = [("here",), ("here",)]
    run(config)
    assert status(connection, "location") == places
    store(connection, ids[0], now(connection), "down", location="oops")
    run(config)
    assert status(connection, "location") == [("here",), ("oops",), ("here",), ("oops",)]
    assert dbadmin(config_file, "locations", "forget", "oops") == (
        1,
        "location oops: 1 producers work there, stop them first\n",
    )
    assert dbadmin(config_file, "locations", "forget", "nowhere") == (
        1,
        "there is no location nowhere: there are here, oops\n",
    )
    connection.execute("UPDATE monitoring.producer_lease SET expires_at = now()")
    assert dbadmin(config_file, "locations", "forget", "oops")[0] == 0
    run(config)
    assert status(connection, "location") == places
    ended = "SELECT location FROM monitoring.website_incident WHERE end_reason = 'location_forgotten'"
    assert connection.execute(ended).fetchall() == [("oops",)]
    said = dbadmin(config_file, "locations", "list")[1]
    assert [line.split()[0] for line in said.splitlines()] == ["location", "here"]
    list(maintain(config.database, dt.datetime.now(dt.UTC), since=now(connection) - 60 * MINUTE))
    assert status(connection, "location") == places
    store(connection, ids[0], now(connection), "up", location="oops")
    run(config)
    assert ("oops",) in status(connection, "location")


def test_coverage_tells_what_was_due_and_what_was_done(connection: psycopg.Connection[Any], config: Config) -> None:
    """Also in an hour that has no row at all; of slots that no producer accounted for."""
    target_id = add(connection, "http://a/", amc_check_interval_s=600, amc_timeout_s=1)
    connection.execute(f"UPDATE {T} SET amc_active_since = now() - interval '1 day'")
    hour = now(connection).replace(minute=0, second=0, microsecond=0) - 3 * 60 * MINUTE
    for number in range(6):
        store(connection, target_id, hour + number * 10 * MINUTE, "unknown" if number == 3 else "up")
    run(config)
    query = "SELECT hour, due, done, unknown, absent FROM monitoring.website_coverage_hourly ORDER BY hour LIMIT 2"
    assert connection.execute(query).fetchall() == [(hour, 6, 5, 1, 0), (hour + 60 * MINUTE, 6, 0, 0, 6)]


def test_the_steps_of_checks_that_were_up_are_means(connection: psycopg.Connection[Any], config: Config) -> None:
    """By the hour and by the day; a step that was not needed counts as 0, and failed checks do not count."""
    target_id = add(connection, "http://a/")
    at = now(connection).replace(hour=0, minute=10)
    steps = ("dns_s", "connect_s", "tls_s", "first_byte_s")
    values: list[list[float | None]] = [[0.1, 0.2, 0.3, 0.4], [0.3, 0.2, None, 0.2]]
    for number, some in enumerate(values):
        store(connection, target_id, at + number * MINUTE, "up", **dict(zip(steps, some, strict=True)))
    store(connection, target_id, at + 5 * MINUTE, "down", dns_s=9, connect_s=9)
    run(config)
    for period in ("hourly", "daily"):
        found = connection.execute(
            f"SELECT {', '.join(steps)} FROM monitoring.website_availability_{period}"
        ).fetchone()
        assert found == pytest.approx((0.2, 0.2, 0.15, 0.3))


def test_a_publication_for_all_tables_stops_nothing(connection: psycopg.Connection[Any], config: Config) -> None:
    """Every table has a key, without which PostgreSQL lets no published row be changed or deleted."""
    without = connection.execute(
        "SELECT relname FROM pg_class c WHERE relnamespace = 'monitoring'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)"
    ).fetchall()
    assert without == []
    connection.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    target_id = add(connection, "http://a/")
    store(connection, target_id, now(connection), "down")
    run(config)
    set_active(config.database, False, ["1"])
    run(config)
    assert incidents(connection)[0][3] == "deactivated"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another scheme": ({"amc_url": "ftp://a/"}, "amc_url_is_http"),
    "no scheme": ({"amc_url": "a.example"}, "amc_url_is_http"),
    "no host": ({"amc_url": "http:///x"}, "amc_url_is_http"),
    "a space": ({"amc_url": "http://a b/"}, "amc_url_is_http"),
    "a method": ({"amc_method": "BREW"}, "amc_method_is_known"),
    "a status": ({"amc_expected_status": "2xx"}, "amc_expected_status_is_a_list"),
    "headers": ({"amc_headers": Jsonb({"X": 1})}, "amc_headers_are_texts_by_name"),
    "a list of headers": ({"amc_headers": Jsonb(["X"])}, "amc_headers_are_texts_by_name"),
    "labels": ({"amc_labels": Jsonb({"x": {"y": "z"}})}, "amc_labels_are_texts_by_name"),
    "a body without POST": ({"amc_body": "x"}, "amc_body_goes_with_post"),
    "a place": ({"amc_connect_to": "a b"}, "amc_connect_to_is_a_place"),
    "a family": ({"amc_address_family": "ipv5"}, "amc_address_family_is_known"),
    "a long timeout": ({"amc_timeout_s": 60, "amc_check_interval_s": 60}, "amc_timeout_is_below_interval"),
}


@pytest.mark.parametrize("case", BAD)
def test_postgresql_refuses_what_it_can_judge(connection: psycopg.Connection[Any], case: str) -> None:
    """Of active targets; an inactive one may hold it, and cannot be activated."""
    fields, name = BAD[case]
    url, others = fields.get("amc_url", "http://a/"), {key: fields[key] for key in fields if key != "amc_url"}
    with pytest.raises(psycopg.errors.CheckViolation, match=name):
        add(connection, url, **others)
    add(connection, url, amc_active=False, **others)
    with pytest.raises(psycopg.errors.CheckViolation, match=name):
        connection.execute(f"UPDATE {T} SET amc_active = true")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=strategies.records())
def test_postgresql_takes_every_target_that_can_be_checked(
    connection: psycopg.Connection[Any], record: TargetRecord
) -> None:
    """No constraint refuses what a producer would check."""
    values = {column: getattr(record, name) for name, column in TARGET_COLUMNS.items() if name != "id"}
    values = {column: Jsonb(value) if isinstance(value, dict | list) else value for column, value in values.items()}
    connection.execute(f"TRUNCATE {T}")
    connection.execute(
        f"INSERT INTO {T} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})", list(values.values())
    )


def test_the_upgrade_takes_targets_that_break_a_rule(config: Config, config_file: Path) -> None:
    """They stay as they are, can be deactivated, and their open incidents end when nobody checks them."""
    create_database(config.database)
    list(create_schema(config.database, dt.datetime.now(dt.UTC).date()))
    assert dbadmin(config_file, "downgrade-schema", "0008", "--yes")[0] == 0
    with connect(config.database, "test", autocommit=True) as connection:
        connection.execute(f"INSERT INTO {T} (amc_url) VALUES ('ftp://a/'), ('http://b/')")
        connection.execute(
            "INSERT INTO monitoring.availability_incident (target_id, location, began_at, checks) "
            "VALUES (1, 'here', now() - interval '1 day', 1), (77, 'here', now() - interval '1 day', 1)"
        )
        assert dbadmin(config_file, "create-schema")[0] == 0
        set_active(config.database, False, ["1"])
        run(config)
        assert [(row[0], row[3]) for row in incidents(connection)] == [(1, "deactivated"), (77, "deleted")]


def test_the_doctor_names_targets_that_cannot_be_checked_and_slots_of_nobody(
    connection: psycopg.Connection[Any], config_file: Path
) -> None:
    """By their ids, with the first problem; and the IDs that no producer ever held."""
    config = load_config(config_file, environ={}, settings=["monitor.websites_per_container=2"])
    assert [str(finding) for finding in check_targets(config)] == ["pass  targets: 0 active, all can be checked"]
    ids = [add(connection, f"http://w{number}/", amc_check_interval_s=600) for number in range(5)]
    connection.execute(f"UPDATE {T} SET amc_active_since = now() - interval '1 hour 1 minute'")
    connection.execute(f"UPDATE {T} SET amc_regexp = '(' WHERE amc_id IN (2, 4)")
    connection.execute(
        "INSERT INTO monitoring.producer_lease (location, producer_id, holder, expires_at, accounted_until, due_from) "
        "VALUES ('default', 2, 'me', now(), now(), to_timestamp(0))"
    )
    assert len(find(config.database, [str(i) for i in ids])) == 5
    assert [str(finding) for finding in check_targets(config)] == [
        (
            "warn  targets: 2 of 5 active targets cannot be checked: 2, 4 (target 2: regexp: is not a regular "
            "expression that RE2 takes: missing ): () → correct these rows, or run dbadmin targets deactivate for them"
        ),
        (
            "warn  slots in default: 18 have no row, because nobody ever was producer 1, 3 → run producer-svc run --id "
            "for each, which accounts for them as far back as monitor.max_look_back"
        ),
    ]


def test_the_doctor_names_websites_that_the_producers_cannot_check(
    connection: psycopg.Connection[Any], config_file: Path
) -> None:
    """Not as the websites' fault: each cause once, with those that are active."""
    config = load_config(config_file, environ={})
    said = "the website speaks HTTP/2 alone, which the engine requests does not; native does"
    for number in (1, 2, 3):
        add(connection, f"http://w{number}/", amc_active=number < 3)
        connection.execute(
            "INSERT INTO monitoring.availability_state (target_id, location, scheduled_at, status, reason, error) "
            "VALUES (%s, 'default', now(), 'unknown', 'prober_error', %s)",
            (number, said),
        )
    assert [str(finding) for finding in check_targets(config) if finding.subject == "prober errors"] == [
        (
            f"warn  prober errors: 2 targets cannot be checked by the producers: 1, 2 ({said}) → the runbook explains "
            "these words"
        )
    ]
