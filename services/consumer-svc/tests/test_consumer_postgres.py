"""The writer, on a real PostgreSQL."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import attrs
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer_svc.adapters.postgres import PostgresWriter
from consumer_svc.ports import WriteCounts
from monitoring_core.config import DatabaseConfig, load_config
from monitoring_core.errors import OutageError
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.revision import CONSUMER_NEEDS
from monitoring_core.tables import RESULT_COLUMNS
from monitoring_testkit.consumer.tables import STATEMENTS

pytestmark = pytest.mark.integration_test

AT = dt.datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=dt.UTC)
UP = CheckResult(target_id=1, scheduled_at=AT, location="here", producer_id=2, status=Status.UP, response_time_s=0.25)
MISSED = UP.replace(status=Status.UNKNOWN, reason=Reason.MISSED_WINDOW, response_time_s=None)


def drawn(target_id: int, real: bool) -> CheckResult:
    return (UP if real else MISSED).replace(target_id=target_id)


@pytest.fixture
def database(server: str, tmp_path: Path) -> DatabaseConfig:
    info = psycopg.conninfo.conninfo_to_dict(server)
    file = tmp_path / "config.yaml"
    file.write_text(
        f"kafka: {{bootstrap_servers: 'k:1'}}\n"
        f"database: {{host: '{info['host']}', port: {info.get('port') or 5432}, user: postgres, database: postgres}}\n"
    )
    columns = ", ".join(f"{name} {kind}" for name, kind in RESULT_COLUMNS.items())
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS monitoring CASCADE")
        connection.execute("CREATE SCHEMA monitoring")
        connection.execute(
            f"CREATE TABLE monitoring.availability_result ({columns}, PRIMARY KEY (target_id, scheduled_at, location)) "
            "PARTITION BY RANGE (scheduled_at)"
        )
        connection.execute(
            "CREATE TABLE monitoring.availability_result_default PARTITION OF monitoring.availability_result DEFAULT"
        )
        for statement in STATEMENTS:
            connection.execute(statement.encode())
        connection.execute(f"CREATE TABLE monitoring.schema_version AS SELECT '{CONSUMER_NEEDS}' AS version_num")
    return load_config(file, environ={}).database


def rows(server: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server) as connection:
        return connection.execute(
            "SELECT target_id, status, reason, response_time_s FROM monitoring.availability_result ORDER BY target_id"
        ).fetchall()


def test_a_real_result_replaces_an_unknown_one_and_never_the_reverse(database: DatabaseConfig, server: str) -> None:
    """In whichever order they come, the row ends as the real result."""
    writer = PostgresWriter(database)
    assert writer.write([MISSED]) == WriteCounts(stored=1)
    assert writer.write([UP]) == WriteCounts(replaced=1)
    assert writer.write([MISSED]) == WriteCounts(duplicates=1)
    assert rows(server) == [(1, "up", None, 0.25)]


def test_the_hours_of_rows_that_were_stored_are_noted_with_them(database: DatabaseConfig, server: str) -> None:
    """Each hour (UTC) of a batch that stored or replaced a row is noted; none for a batch of duplicates."""

    def noted() -> list[str]:
        with psycopg.connect(server) as connection:
            return [
                f"{hour.astimezone(dt.UTC):%d %H:%M}"
                for (hour,) in connection.execute(
                    "DELETE FROM monitoring.availability_dirty_hour RETURNING hour"
                ).fetchall()
            ]

    writer = PostgresWriter(database)
    later = UP.replace(scheduled_at=AT + dt.timedelta(hours=30))
    writer.write([MISSED, later, UP.replace(target_id=2)])
    assert sorted(noted()) == ["01 12:00", "02 18:00"]
    writer.write([MISSED, later])
    assert noted() == []
    writer.write([UP, later])
    assert sorted(noted()) == ["01 12:00", "02 18:00"]


def test_duplicates_within_and_between_batches_change_nothing(database: DatabaseConfig, server: str) -> None:
    """A redelivery is swallowed by the key, and of two results of one batch the real one stays."""
    writer = PostgresWriter(database)
    other = UP.replace(target_id=2)
    assert writer.write([MISSED, UP, UP, other]) == WriteCounts(stored=2, duplicates=2)
    assert writer.write([UP, other]) == WriteCounts(duplicates=2)
    assert rows(server) == [(1, "up", None, 0.25), (2, "up", None, 0.25)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.builds(drawn, st.integers(1, 40), st.booleans()), min_size=1, max_size=15), min_size=1, max_size=12
    )
)
def test_whatever_comes_in_whatever_order_the_rows_are_right(
    database: DatabaseConfig, server: str, batches: list[list[CheckResult]]
) -> None:
    """Batches that conflict and batches that do not: the counts add up, and a real result is never lost."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("TRUNCATE monitoring.availability_result")
    writer, expected, counts = PostgresWriter(database), dict[int, str](), WriteCounts()
    for batch in batches:
        counts += writer.write(batch)
        for result in batch:
            if expected.setdefault(result.target_id, str(result.status)) == "unknown":
                expected[result.target_id] = str(result.status)
    assert {row[0]: row[1] for row in rows(server)} == expected
    assert counts.stored == len(expected)
    assert counts.stored + counts.replaced + counts.duplicates == sum(map(len, batches))


def test_after_conflicts_batches_go_straight_again(database: DatabaseConfig, server: str) -> None:
    """The longer conflicts go on, the less often the straight way is tried; after one success it is used again."""
    writer = PostgresWriter(database)
    writer.write([UP])
    left = []
    for target_id in [1] * 8 + [2, 3, 4, 5, 1]:
        writer.write([UP.replace(target_id=target_id)])
        left.append(writer._staged_left)
    # A conflict, one staged, a conflict, two staged, a conflict, four staged; then only new rows, and a first conflict.
    assert left == [1, 0, 2, 1, 0, 4, 3, 2, 1, 0, 0, 0, 1]
    assert len(rows(server)) == 5


def test_however_long_conflicts_last_the_straight_way_is_tried_every_64_batches(database: DatabaseConfig) -> None:
    """So the end of the conflicts is noticed."""
    writer, left = PostgresWriter(database), []
    for _ in range(260):
        writer.write([UP])
        left.append(writer._staged_left)
    conflicts = [number for number, staged_left in enumerate(left) if staged_left == 64]
    assert max(left) == 64
    assert conflicts[1] - conflicts[0] == 65  # the batch that conflicted is staged as well


def test_every_value_arrives_as_it_was(database: DatabaseConfig, server: str) -> None:
    """Times to the microsecond, text of any script, and null for values that were not measured."""
    full = UP.replace(
        started_at=AT,
        finished_at=AT,
        http_status=599,
        body_bytes=2**31 - 1,
        regexp_matched=False,
        remote_address="2001:db8::1",
        error="größer 💥",
        certificate_expires_at=AT,
        queue_delay_s=0.5,
    )
    PostgresWriter(database).write([full])
    with psycopg.connect(server) as connection:
        cursor = connection.execute("SELECT * FROM monitoring.availability_result")
        row = dict(zip((column.name for column in cursor.description or ()), cursor.fetchone() or (), strict=True))
    assert row == {name: getattr(full, name) for name in RESULT_COLUMNS}


def test_rows_in_the_default_partition_are_counted_up_to_a_bound(database: DatabaseConfig, server: str) -> None:
    """Rows of days that have a partition are not among them."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE monitoring.march PARTITION OF monitoring.availability_result "
            "FOR VALUES FROM ('2026-03-01 00:00+00') TO ('2026-03-02 00:00+00')"
        )
    writer = PostgresWriter(database)
    writer.write([UP])
    assert writer.rows_by_default() == 0
    writer.write([UP.replace(target_id=i, scheduled_at=AT + dt.timedelta(days=9)) for i in range(1, 1_500)])
    assert writer.rows_by_default() == 1_000


def test_a_lost_connection_is_an_outage_and_the_next_try_opens_another(database: DatabaseConfig, server: str) -> None:
    """The next write succeeds without help."""
    writer = PostgresWriter(database)
    writer.write([UP])
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'consumer-svc'"
        )
    with pytest.raises(OutageError, match="PostgreSQL at "):
        writer.write([UP])
    assert writer.write([UP]) == WriteCounts(duplicates=1)


# What others do to the database -> how it is undone. With it, nothing can be stored, whatever is in the results.
AROUND = {
    "an event trigger refuses the staging table": (
        """CREATE FUNCTION monitoring.refuse() RETURNS event_trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no changes today'; END $$;
        CREATE EVENT TRIGGER refusing ON ddl_command_start EXECUTE FUNCTION monitoring.refuse()""",
        "DROP EVENT TRIGGER refusing",
    ),
    "the table of marks refuses": (
        "ALTER TABLE monitoring.availability_dirty_hour ADD CONSTRAINT never CHECK (hour < '2000-01-01') NOT VALID",
        "ALTER TABLE monitoring.availability_dirty_hour DROP CONSTRAINT never",
    ),
    "a column was added that must have a value": (
        """ALTER TABLE monitoring.availability_result ADD COLUMN tenant text NOT NULL DEFAULT '';
        ALTER TABLE monitoring.availability_result ALTER COLUMN tenant DROP DEFAULT""",
        "ALTER TABLE monitoring.availability_result DROP COLUMN tenant",
    ),
}


@pytest.mark.parametrize("what", AROUND)
def test_what_others_did_to_the_database_is_waited_for(database: DatabaseConfig, server: str, what: str) -> None:
    """No result is to blame for it, neither a new one nor one that comes again: none becomes a dead letter."""
    done, undone = AROUND[what]
    writer, batch = PostgresWriter(database), [UP, UP.replace(target_id=2)]
    writer.write([UP])
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(done.encode())
        try:
            with pytest.raises(OutageError, match="PostgreSQL at "):
                writer.write(batch)
        finally:
            connection.execute(undone.encode())
    assert writer.write(batch) == WriteCounts(stored=1, duplicates=1)


def test_a_refused_connection_is_not_called_unreachable(database: DatabaseConfig) -> None:
    """The person who reads it looks at the user and the database, not at the network."""
    with pytest.raises(OutageError, match=r'refuses the connection: role "nobody" does not exist$'):
        PostgresWriter(attrs.evolve(database, user="nobody")).write([UP])
    with pytest.raises(OutageError, match="cannot be reached: Connection refused"):
        PostgresWriter(attrs.evolve(database, host="127.0.0.1", port=1)).write([UP])
