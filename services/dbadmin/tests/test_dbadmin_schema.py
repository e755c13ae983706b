"""The schema, on a real PostgreSQL."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import attrs
import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from dbadmin.cli import main
from dbadmin.history.partitions import days
from dbadmin.install.revisions import newest_revision
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_core.errors import StopError
from monitoring_core.tables import (
    ACTIVE_SINCE_COLUMN,
    ADDED_COLUMNS,
    RESULT_COLUMNS,
    RESULT_KEY,
    RESULT_TABLE,
    TARGET_COLUMNS,
    TARGET_TABLE,
)
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_core.config import Config

TODAY = dt.date(2026, 3, 1)
COLUMNS = """SELECT attname, replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz')
    FROM pg_attribute WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND attnum > 0 ORDER BY attnum"""


def test_partitions_reach_from_yesterday_to_the_days_ahead() -> None:
    """Results of yesterday may still arrive, and no day ahead is left out, over the end of a month too."""
    assert days(TODAY, 2) == [dt.date(2026, 2, 28), TODAY, dt.date(2026, 3, 2), dt.date(2026, 3, 3)]


@pytest.mark.integration_test
def test_a_database_made_here_compiles_no_statement(config: Config) -> None:
    """PostgreSQL's just-in-time compiler takes a second and more for a view that is read in a millisecond."""
    create_database(config.database)
    with connect(config.database, "test") as connection:
        assert connection.execute("SHOW jit").fetchone() == ("off",)


@pytest.mark.integration_test
def test_a_database_made_here_is_in_utf8(config: Config) -> None:
    """Also where the server's template is in another encoding."""
    with connect(config.database, "test", database="postgres", autocommit=True) as connection:
        connection.execute(
            "UPDATE pg_database SET encoding = pg_char_to_encoding('LATIN1') WHERE datname = 'template1'"
        )
        try:
            assert create_database(config.database).endswith("made")
        finally:
            connection.execute(
                "UPDATE pg_database SET encoding = pg_char_to_encoding('UTF8') WHERE datname = 'template1'"
            )
    with connect(config.database, "test") as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


@pytest.mark.integration_test
def test_a_database_in_another_encoding_is_refused(config: Config) -> None:
    """Before anything is made in it, with the sentence that mends it."""
    name = config.database.database
    with connect(config.database, "test", database="postgres", autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE \"{name}\" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0".encode()
        )
    for make in (create_database, lambda database: list(create_schema(database, dt.date(2026, 3, 1)))):
        with pytest.raises(StopError) as caught:
            make(config.database)
        assert str(caught.value) == (
            f"PostgreSQL at {config.database.address}: database {name} has the encoding LATIN1, in which not every "
            "result can be stored, and must have UTF8: name another database in database.database, and dbadmin setup "
            "makes it so"
        )
    with connect(config.database, "test") as connection:
        assert connection.execute("SELECT FROM pg_namespace WHERE nspname = 'monitoring'").fetchone() is None


@pytest.mark.integration_test
def test_several_at_once_make_one_database(config: Config) -> None:
    """As the pods of a Job do: one makes it, and the others go on with it."""
    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(create_database, [config.database] * 4))
    assert said[0] == f"database {config.database.database}: made"
    assert all(": present" in line for line in said[1:])


@pytest.mark.integration_test
@pytest.mark.parametrize("schema", ["monitoring", 'My "odd" sché:ma; DROP', "x" * 63])
def test_the_tables_are_those_of_the_contract(config: Config, schema: str) -> None:
    """Names, order and types of the columns, and the key, are what producer and consumer count on; in any schema."""
    create_database(config.database)
    database = attrs.evolve(config.database, schema=schema)
    list(create_schema(database, TODAY))
    with connect(database, "test") as connection:
        assert dict(connection.execute(COLUMNS, (schema, RESULT_TABLE)).fetchall()) == RESULT_COLUMNS
        targets = [name for name, _ in connection.execute(COLUMNS, (schema, TARGET_TABLE)).fetchall()]
        assert sorted(targets) == sorted([*TARGET_COLUMNS.values(), ACTIVE_SINCE_COLUMN, *ADDED_COLUMNS])
        key = connection.execute(
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey) "
            "WHERE indrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND indisprimary",
            (schema, RESULT_TABLE),
        ).fetchall()
        assert {name for (name,) in key} == set(RESULT_KEY)


REFUSED = [
    ("amc_further_regexps", '"a"'),
    ("amc_further_regexps", "null"),
    ("amc_further_regexps", "{}"),
    ("amc_further_regexps", '["a", 1]'),
    ("amc_further_regexps", '[["a"]]'),
    ("amc_further_forbidden_regexps", json.dumps(["a"] * 21)),
    ("amc_expected_headers", '["X"]'),
    ("amc_expected_headers", '{"X": 1}'),
    ("amc_expected_headers", '{"X": ["a"]}'),
    ("amc_expected_headers", json.dumps({f"X{i}": "" for i in range(21)})),
    ("amc_degraded_above_s", "0"),
    ("amc_degraded_above_s", "301"),
    ("amc_degraded_above_s", "NaN"),
    ("amc_client_certificate", "../a"),
    ("amc_client_certificate", "a\n"),
    ("amc_client_certificate", ""),
    ("amc_secret_headers", '"X"'),
    ("amc_secret_headers", json.dumps(["X"] * 51)),
    ("amc_expected_json", '["$"]'),
    ("amc_expected_json", '"$"'),
    ("amc_expected_json", json.dumps({f"$.a{i}": 1 for i in range(21)})),
]
TAKEN = [
    ("amc_further_regexps", '["a", "b"]'),
    ("amc_further_forbidden_regexps", "[]"),
    ("amc_expected_headers", '{"X": "a"}'),
    ("amc_degraded_above_s", "0.5"),
    ("amc_secret_headers", '["X"]'),
    ("amc_client_certificate", "shop-7_a.pem"),
    ("amc_expected_json", '{"$.a": [1, null], "$.b": "x", "$.c": {"d": true}}'),
]


@pytest.mark.integration_test
def test_the_table_refuses_targets_that_no_producer_could_check(config: Config) -> None:
    """As far as PostgreSQL can judge them; null is always taken."""
    create_database(config.database)
    list(create_schema(config.database, TODAY))
    with connect(config.database, "test", autocommit=True) as connection:
        for number, (column, value) in enumerate(TAKEN + REFUSED):
            statement = sql.SQL("INSERT INTO monitoring.availability_monitor_config (amc_url, {}) VALUES (%s, %s)")
            values = (f"http://a/{number}", value)
            with contextlib.nullcontext() if number < len(TAKEN) else pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(statement.format(sql.Identifier(column)), values)
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(
                "INSERT INTO monitoring.availability_monitor_config (amc_url, amc_timeout_s, amc_degraded_above_s) "
                "VALUES ('http://b/', 2, 2)"
            )


@pytest.mark.integration_test
def test_create_schema_may_be_repeated_and_adds_the_days_that_have_come(config: Config) -> None:
    """The second run finds everything; a later one makes the partitions that are missing by then."""
    create_database(config.database)
    first = list(create_schema(config.database, TODAY))
    assert first == ["schema monitoring: at revision 0022, was empty", "partitions: 16 made, up to 2026-03-15"]
    assert list(create_schema(config.database, TODAY))[1] == "partitions: 0 made, up to 2026-03-15"
    later = list(create_schema(config.database, TODAY + dt.timedelta(days=3)))
    assert later == ["schema monitoring: at revision 0022 already", "partitions: 3 made, up to 2026-03-18"]


@pytest.mark.integration_test
def test_a_day_with_rows_in_the_default_partition_is_left_there(config: Config) -> None:
    """Rows of a day without partition are stored all the same, and create-schema says so instead of failing."""
    create_database(config.database)
    list(create_schema(config.database, TODAY))
    with connect(config.database, "test") as connection:
        connection.execute(
            "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, producer_id) "
            "VALUES (1, '2026-03-16 12:00Z', 'default', 'up', 1)"
        )
    said = list(create_schema(config.database, TODAY + dt.timedelta(days=2)))
    assert said[1:] == [
        (
            "partition availability_result_20260316: not made, the default partition already holds rows of that day "
            "(dbadmin maintain moves them)"
        ),
        "partitions: 1 made, up to 2026-03-17",
    ]


@pytest.mark.integration_test
def test_two_at_once_are_safe(config: Config) -> None:
    """Several pods may run create-schema at the same moment."""
    create_database(config.database)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: list(create_schema(config.database, TODAY)), range(4)))
    assert sorted(run[1] for run in runs)[-1] == "partitions: 16 made, up to 2026-03-15"
    assert sum("was empty" in run[0] for run in runs) == 1


MADE = "(dbadmin setup makes a database and accounts that are missing)"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


@pytest.mark.integration_test
def test_what_is_missing_is_said_with_the_command_that_mends_it(config_file: Path, config: Config) -> None:
    """No database, then no schema: one plain line each, status 1."""
    status, said = run("producer-count", "--config", str(config_file))
    assert status == 1
    assert said.rstrip().endswith(f'database "{config.database.database}" does not exist {MADE}')
    create_database(config.database)
    status, said = run("producer-count", "--config", str(config_file))
    assert status == 1
    assert said.rstrip().endswith("(run dbadmin create-schema)")
    assert said.count("\n") == 1


@pytest.mark.integration_test
def test_a_schema_is_not_brought_back_to_where_it_is(config_file: Path, config: Config) -> None:
    """Nothing would be undone, and the question whether data may go would be in vain."""
    create_database(config.database)
    list(create_schema(config.database, TODAY))
    newest = newest_revision()
    assert run("downgrade-schema", newest, "--config", str(config_file)) == (
        1,
        f"schema monitoring is at revision {newest}: {newest} is not before that\n",
    )


def test_with_nothing_listening_it_says_so_with_the_address(tmp_path: Path) -> None:
    """One plain line and status 1, for PostgreSQL and for Kafka."""
    path = tmp_path / "config.yaml"
    path.write_text("kafka: {bootstrap_servers: '127.0.0.1:1'}\ndatabase: {host: 127.0.0.1, port: 1, user: u}\n")
    assert run("create-schema", "--config", str(path)) == (
        1,
        "PostgreSQL at 127.0.0.1:1 cannot be reached: Connection refused\n",
    )
