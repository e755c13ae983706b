"""The doctor on what keeps the parts from their work: whatever makes maintain fail, the doctor fails too."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest

from dbadmin.doctor import maintenance, postgres
from dbadmin.doctor.findings import Finding, Level
from dbadmin.doctor.maintenance import check_long_transactions, check_maintenance
from dbadmin.doctor.schema import check_retention
from dbadmin.doctor.trials import try_part
from dbadmin.history import partitions
from dbadmin.history.maintain import LOCK, maintain
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_core.config import Role
from monitoring_core.errors import MonitoringError
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from monitoring_core.config import Config, DatabaseConfig

pytestmark = pytest.mark.integration_test

NOW = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
PARTS = (Role.ADMINISTRATOR, Role.PRODUCER, Role.CONSUMER)


@pytest.fixture
def database(config: Config) -> DatabaseConfig:
    create_database(config.database)
    list(create_schema(config.database, NOW.date()))
    return config.database


def mark(connection: psycopg.Connection[Any], hour: dt.datetime) -> None:
    connection.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (%s)", (hour,))


def look(connection: psycopg.Connection[Any]) -> list[str]:
    return [str(finding) for finding in check_maintenance(connection, "monitoring")]


MEND = " → run dbadmin maintain every few minutes, and see what it says"


def test_a_maintain_that_never_succeeded_is_told(connection: psycopg.Connection[Any]) -> None:
    """At first as a warning; when an hour has waited for long, nobody runs it."""
    assert look(connection) == [f"warn  maintain: has never succeeded{MEND}"]
    mark(connection, NOW - 7 * HOUR)
    (line,) = look(connection)
    assert line == (
        f"fail  maintain: has never succeeded; 1 hour waits to be rolled up, the oldest began 7 h ago{MEND}"
    )


@pytest.mark.parametrize(
    ("ago", "level", "text"),
    [
        ("59 minutes", "pass", "succeeded 59 min ago"),
        ("61 minutes", "warn", "succeeded 1 h ago"),
        ("7 hours", "fail", "succeeded 7 h ago"),
        ("50 hours", "fail", "succeeded 2 d ago"),
    ],
)
def test_how_long_ago_maintain_succeeded_is_told(
    database: DatabaseConfig, connection: psycopg.Connection[Any], ago: str, level: str, text: str
) -> None:
    """It keeps that in the database, after its work."""
    list(maintain(database, NOW))
    connection.execute("UPDATE monitoring.maintain_run SET ended_at = now() - %s::interval", (ago,))
    (line,) = look(connection)
    assert line.startswith(f"{level}  maintain: {text}")


def test_why_the_last_run_failed_is_told(database: DatabaseConfig, connection: psycopg.Connection[Any]) -> None:
    """Also that it did not end, when it was killed."""
    list(maintain(database, NOW))
    mark(connection, NOW)
    connection.execute("ALTER TABLE monitoring.availability_hourly ADD CONSTRAINT none CHECK (false) NOT VALID")
    connection.execute(
        "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, producer_id, status) "
        "VALUES (1, %s, 'here', 1, 'up')",
        (NOW,),
    )
    with pytest.raises(MonitoringError):
        list(maintain(database, NOW))
    (line,) = look(connection)
    assert 'the last run failed: new row for relation "availability_hourly" violates check constraint "none"' in line
    connection.execute("INSERT INTO monitoring.maintain_run DEFAULT VALUES")
    (line,) = look(connection)
    assert line.endswith("; the last run did not end")


def test_a_lock_that_a_pool_keeps_is_a_failure(
    database: DatabaseConfig, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as three runs found it, or its holder does nothing; a run that works is none."""
    with connect(database, "a pool", autocommit=True) as pool:
        pool.execute("SELECT pg_advisory_lock(%s, hashtext('monitoring'))", (LOCK,))
        assert [line.partition(": ")[0] for line in look(connection)] == ["warn  maintain"]
        for _ in range(3):
            with contextlib.suppress(MonitoringError):
                list(maintain(database, NOW))
        pid = pool.info.backend_pid
        _, line = look(connection)
        assert line.startswith(f"fail  lock of maintain: process {pid} (a pool as postgres")
        assert line.endswith(
            f") holds it and finishes no step → end it with SELECT pg_terminate_backend({pid}), and connect dbadmin "
            "without a pool"
        )
        connection.execute("DELETE FROM monitoring.maintain_run")
        monkeypatch.setattr(maintenance, "_IDLE_S", 0)
        assert len(look(connection)) == 2


def test_a_transaction_that_holds_the_tables_for_long_is_told(
    database: DatabaseConfig, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No day can be dropped meanwhile."""
    with connect(database, "an analyst") as reader:
        reader.execute("SELECT count(*) FROM monitoring.availability_result")
        assert check_long_transactions(connection, "monitoring").level is Level.PASS
        monkeypatch.setattr(maintenance, "_LONG_S", 0)
        found, pid = str(check_long_transactions(connection, "monitoring")), reader.info.backend_pid
    assert found.startswith(f"warn  long transactions: process {pid} (an analyst as postgres")
    assert ", idle in transaction since 20" in found
    assert found.endswith("has held tables of schema monitoring for 0 s: no day can be dropped → end its transaction")


def trials(database: DatabaseConfig, *parts: Role) -> list[Finding]:
    with connect(database, "test", autocommit=True) as connection:
        return [finding for role in parts for finding in try_part(connection, "monitoring", role)]


def test_every_part_is_tried_and_all_is_taken_back(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Nothing of it can be seen afterwards."""
    assert [str(finding) for finding in trials(database, *PARTS)] == [
        "pass  trial of the administrator: an hour and a day were rolled up, a table was made, and all was taken back",
        "pass  trial of the producer: an ID was taken, renewed and given back",
        "pass  trial of the consumer: a result was stored, replaced and taken back",
    ]
    for table in ("availability_result", "availability_dirty_hour", "availability_dirty_day", "producer_lease"):
        assert connection.execute(f"SELECT count(*) FROM monitoring.{table}").fetchone() == (0,)
    assert connection.execute("SELECT to_regclass('monitoring.availability_result_20000101')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("fault", "part", "text"),
    [
        (
            "ALTER TABLE monitoring.availability_down_run ALTER target_id TYPE text",
            Role.ADMINISTRATOR,
            "UNION types text and bigint cannot be matched",
        ),
        (
            "ALTER TABLE monitoring.availability_dirty_hour ADD CONSTRAINT none CHECK (false)",
            Role.CONSUMER,
            'new row for relation "availability_dirty_hour" violates check constraint "none"',
        ),
        (
            "ALTER TABLE monitoring.producer_lease ADD CONSTRAINT none CHECK (false)",
            Role.PRODUCER,
            'new row for relation "producer_lease" violates check constraint "none"',
        ),
    ],
)
def test_what_a_part_cannot_do_is_told(
    database: DatabaseConfig, connection: psycopg.Connection[Any], fault: str, part: Role, text: str
) -> None:
    """All rights and all tables are there, and still it does not work."""
    connection.execute(fault)
    assert [str(finding) for finding in trials(database, part)] == [
        f"fail  trial of the {part}: {text} → mend what PostgreSQL says; until then nothing of this kind is done"
    ]


HIDING = " → disable it, or give the account a policy that shows all rows"
CLOSED = "row-level security without a policy hides all rows of"


@pytest.mark.parametrize(
    ("table", "role", "policy", "line"),
    [
        (
            "availability_monitor_config",
            Role.PRODUCER,
            None,
            f"fail  rows for the producer: {CLOSED} availability_monitor_config{HIDING}",
        ),
        (
            "availability_monitor_config",
            Role.PRODUCER,
            "amc_id < 0",
            (
                "warn  rows for the producer: row-level security may hide rows of availability_monitor_config → see "
                "its policies: disable it, or give the account a policy that shows all rows"
            ),
        ),
        (
            "availability_result",
            Role.ADMINISTRATOR,
            None,
            f"fail  rows for the administrator: {CLOSED} availability_result{HIDING}",
        ),
        ("status_token", Role.STATUS, None, f"fail  rows for the status: {CLOSED} status_token{HIDING}"),
        ("availability_monitor_config", Role.CONSUMER, None, None),
    ],
)
def test_rows_that_row_level_security_hides_are_told(
    database: DatabaseConfig,
    connection: psycopg.Connection[Any],
    table: str,
    role: Role,
    policy: str | None,
    line: str | None,
) -> None:
    """A part that sees no rows gets no error: a producer would watch nothing, and maintain count nothing."""
    name = f"{database.database}-part"
    connection.execute(f'CREATE ROLE "{name}" LOGIN')
    try:
        connection.execute(f'GRANT USAGE, CREATE ON SCHEMA monitoring TO "{name}"')
        connection.execute(f'GRANT ALL ON ALL TABLES IN SCHEMA monitoring TO "{name}"')
        connection.execute(f"ALTER TABLE monitoring.{table} ENABLE ROW LEVEL SECURITY")
        if policy:
            connection.execute(f"CREATE POLICY of_some ON monitoring.{table} USING ({policy})")
        found = [str(one) for one in trials(attrs.evolve(database, user=name), role) if "rows for" in one.subject]
    finally:
        connection.execute(f'DROP OWNED BY "{name}"')
        connection.execute(f'DROP ROLE "{name}"')
    assert found == ([line] if line else [])


def test_results_that_do_not_go_are_told(database: DatabaseConfig, connection: psycopg.Connection[Any]) -> None:
    """A day that maintain does not come to, one that something depends on, and a partition that it did not make."""

    def said() -> str:
        return str(check_retention(connection, config, FakeClock(now_ms=round(NOW.timestamp() * 1000))))

    config = attrs.evolve(database, retention=dt.timedelta(days=2))
    mend = " → docs/runbook.md says what keeps them"
    assert said() == "pass  retention: no result is older than 2 days"
    for days in (3, 4, 9):
        partitions.create(connection, "monitoring", (NOW - days * DAY).date())
        partitions.attach(connection, "monitoring", (NOW - days * DAY).date())
    oldest = (NOW - 9 * DAY).date()
    assert said() == f"warn  retention: results of 2 days are older than it, the oldest of {oldest}{mend}"
    connection.execute(f"CREATE VIEW public.of_a_person AS TABLE monitoring.availability_result_{oldest:%Y%m%d}")
    list(maintain(config, NOW))
    table = f"1 table of days that are over cannot be dropped, like availability_result_{oldest:%Y%m%d}"
    assert said() == f"warn  retention: {table}{mend}"
    with connect(database, "a run", autocommit=True) as another:
        another.execute("SELECT pg_advisory_lock(%s, hashtext('monitoring'))", (LOCK,))
        assert said() == "pass  retention: dbadmin maintain is at work"
    connection.execute(
        "CREATE TABLE monitoring.by_hand PARTITION OF monitoring.availability_result "
        "FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2021-01-01 00:00+00')"
    )
    assert said() == (
        f"warn  retention: {table}; 1 partition that others made will never be dropped, like by_hand{mend}"
    )


@pytest.mark.parametrize(
    "fault",
    [
        "ALTER DATABASE {name} SET datestyle = 'German, DMY'",
        "ALTER DATABASE {name} SET intervalstyle = 'iso_8601'",
        "ALTER DATABASE {name} SET default_transaction_read_only = on",
        "ALTER DATABASE {name} SET lock_timeout = '1ms'",
        "CREATE PUBLICATION all_tables FOR ALL TABLES",
        "CREATE VIEW monitoring.availability_result_20000101 AS SELECT 1",
        "SELECT 1",
    ],
)
def test_the_doctor_fails_when_maintain_does(
    database: DatabaseConfig, connection: psycopg.Connection[Any], fault: str
) -> None:
    """For settings of the server and objects that others made, of which no right and no table tells."""
    mark(connection, NOW)
    connection.execute(fault.format(name=psycopg.sql.Identifier(database.database).as_string()))
    failed = False
    try:
        list(maintain(database, NOW))
    except (MonitoringError, NotImplementedError):
        failed = True
    # The view stands in the way of the trial alone.
    assert any(finding.level is Level.FAIL for finding in trials(database, *PARTS)) == (failed or "VIEW" in fault)


def test_settings_with_which_a_crash_loses_what_counts_as_stored_are_a_failure(
    connection: psycopg.Connection[Any],
) -> None:
    """Kafka's offsets are committed after the database has said that it has the rows."""
    assert list(postgres.check_durability(connection)) == []
    connection.execute("SET synchronous_commit = off")
    assert [str(finding) for finding in postgres.check_durability(connection)] == [
        (
            "fail  durability of PostgreSQL: synchronous_commit is off: a crash loses results that count as stored → "
            "set it to on, for the server, the database and the account"
        )
    ]


def test_a_part_without_an_account_of_its_own_is_tried_as_the_owner(config: Config, database: DatabaseConfig) -> None:
    """And a schema that is missing is told by the findings about the schema alone."""
    subjects = [finding.subject for finding in postgres.check_login("database.user", database, PARTS)]
    assert subjects == [
        "PostgreSQL as database.user",
        "trial of the administrator",
        "trial of the producer",
        "trial of the consumer",
    ]
    with connect(database, "test", autocommit=True) as connection:
        connection.execute("DROP SCHEMA monitoring CASCADE")
    assert len(list(postgres.check_login("database.user", database, PARTS))) == 1
