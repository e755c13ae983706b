"""Odd names of databases, schemas and accounts, through dbadmin, the producer's registry and the consumer's writer."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pytest
import yaml
from click.testing import CliRunner

from consumer_svc.adapters.postgres import PostgresWriter
from dbadmin.cli import main
from local_stack.processes import script
from local_stack.servers import connect, embedded_broker
from monitoring_core.config import Config, Role, load_config
from monitoring_core.testing.builders import DEFAULTS, make_result
from monitoring_testkit.servers.postgresql import quick_postgresql
from monitoring_testkit.servers.tls_postgresql import OWNER
from producer_svc.adapters.leases import PostgresLeases
from producer_svc.adapters.postgres import ProducerConnection
from producer_svc.adapters.target_table import PostgresTargetTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from psycopg.rows import TupleRow

    from local_stack.servers import Postgres
    from monitoring_core.config import DatabaseConfig

pytestmark = pytest.mark.integration_test

NAMES = {
    "upper case and spaces": "My  Schema ",
    "quotes": 'it\'s "quoted"',
    "colons": "a:b ::c :d",
    "backslashes": "a\\b\\'",
    "braces": "{schema} {} }{",
    "dots": "public.x",
    "dollars": "$$ $1 $a$",
    "Unicode": "müßig 日本 🙂",
    "63 bytes": "ü" * 31 + "x",
    "a word of SQL": "select",
    "an injection": 'x"; DROP TABLE keep; --',
    "another": "'; DROP TABLE keep; --",
    "a connection string": "host=evil dbname=x",
    "a URI": "postgresql://evil/x?y=z",
    "a comment": "/* a */ --",
}


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with quick_postgresql(tmp_path_factory.mktemp("names") / "postgres") as running:
        with connect(running, "postgres") as connection:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB")
        yield running


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_broker(tmp_path_factory.mktemp("broker")) as servers:
        yield servers


def configured(postgres: Postgres, broker: str, directory: Path, database: str, schema: str, accounts: str) -> Path:
    content = {
        "kafka": {"bootstrap_servers": broker, "replication_factor": 1},
        "database": {
            "host": postgres.host,
            "port": postgres.port,
            "user": OWNER,
            "database": database,
            "schema": schema,
        },
        # A name for each role, of at most 63 bytes.
        "roles": {f"{role}_user": f"{accounts[:30]}{number}" for number, role in enumerate(Role)},
    }
    file = directory / "config.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def run(file: Path, *arguments: str) -> str:
    done = CliRunner().invoke(main, [*arguments, "--config", str(file)])
    assert done.exit_code == 0, done.output
    return done.stdout


def account(config: Config, role: Role) -> DatabaseConfig:
    found = config.database_as(role)
    assert found
    return found


OBJECTS = """
SELECT c.relname, c.relkind::text, a.attname, format_type(atttypid, atttypmod) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND NOT attisdropped
WHERE nspname = %s UNION ALL
SELECT proname, '', prosrc, '' FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = %s
ORDER BY 1, 2, 3, 4"""


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_any_name_works_and_none_is_an_injection(postgres: Postgres, broker: str, tmp_path: Path, name: str) -> None:
    """As the name of the database, the schema and the accounts at once; everything is under that very name."""
    file = configured(postgres, broker, tmp_path, name, name, name)
    run(file, "setup")
    with connect(postgres, name) as connection:
        connection.execute("CREATE TABLE keep (x int)")
        assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = %s", (name,)).fetchone() == (1,)
    run(file, "setup")
    config = load_config(file, environ={})
    lines = tmp_path / "targets.csv"
    lines.write_text("url\nhttp://a/\n")
    run(file, "targets", "import", str(lines))
    producer = ProducerConnection(account(config, Role.PRODUCER))
    targets = PostgresTargetTable(producer)
    assert PostgresLeases(producer, "here", "me", DEFAULTS).acquire(1, 60.0) is not None
    assert [record.url for record, _ in targets.read(range(10))] == ["http://a/"]
    version = targets.version()[0]
    writer = PostgresWriter(account(config, Role.CONSUMER))
    result = make_result(target_id=1, scheduled_at=dt.datetime.now(dt.UTC).replace(microsecond=0))
    assert [writer.write([result]).stored, writer.write([result]).duplicates] == [1, 1]
    run(file, "downgrade-schema", "0003", "--yes")
    assert targets.version()[0] == version
    run(file, "create-schema")
    with connect(postgres, name) as connection:
        assert connection.execute("SELECT count(*) FROM keep").fetchone() == (0,)


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_the_statements_that_are_printed_are_those_that_run(
    postgres: Postgres, broker: str, tmp_path: Path, name: str
) -> None:
    """Printing changes nothing; run by hand, they make the very same; from every revision, forwards and backwards."""
    database = f"printed {abs(hash(name))}"
    file = configured(postgres, broker, tmp_path, database, name, "printed")
    with connect(postgres, "postgres") as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
    config = f"roles.administrator_user={postgres.user}"

    def printed(*arguments: str) -> str:
        return run(file, *arguments, "--sql", "--set", config)

    def objects() -> list[TupleRow]:
        with connect(postgres, database) as connection:
            return connection.execute(OBJECTS, (name, name)).fetchall()

    def by_hand(text: str) -> None:
        with connect(postgres, database) as connection:
            connection.execute("BEGIN")
            connection.execute(text.encode())
            connection.execute("COMMIT")

    forwards = printed("create-schema")
    assert objects() == []
    run(file, "create-schema", "--set", config)
    newest = objects()
    back = printed("downgrade-schema", "0002")
    assert objects() == newest
    run(file, "downgrade-schema", "0002", "--yes", "--set", config)
    older = objects()
    again = printed("create-schema")
    run(file, "create-schema", "--set", config)
    restored = objects()  # partitions that were there before have fewer indexes
    by_hand(back)
    assert objects() == older
    by_hand(again)
    assert objects() == restored
    run(file, "downgrade-schema", "base", "--yes", "--set", config)
    with connect(postgres, database) as connection:
        connection.execute(psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(psycopg.sql.Identifier(name)))
    by_hand(forwards)
    assert objects() == newest
    run(file, "create-schema", "--set", config)


def test_a_percent_sign_may_be_in_the_names_of_databases_and_accounts(
    postgres: Postgres, broker: str, tmp_path: Path
) -> None:
    """Only the schema's name stands in statements with parameters."""
    file = configured(postgres, broker, tmp_path, "100%s %% %(x)s", "s", "%s %(x)s")
    run(file, "setup")
    run(file, "setup")
    producer = ProducerConnection(account(load_config(file, environ={}), Role.PRODUCER))
    assert PostgresLeases(producer, "here", "me", DEFAULTS).acquire(1, 60.0) is not None


@pytest.mark.parametrize(
    ("setting", "name", "why"),
    [
        ("schema", "x" * 64, "must be at most 63 bytes"),
        ("schema", "ü" * 32, "must be at most 63 bytes"),
        ("schema", "pg_x", "is reserved by PostgreSQL"),
        ("schema", "information_schema", "is reserved by PostgreSQL"),
        ("schema", "", "must be a name"),
        ("schema", "a\0b", "must be a name"),
        ("database", "ü" * 32, "must be at most 63 bytes"),
        ("database", "", "must be a name"),
        ("database", "template1", "is PostgreSQL's own template"),
        ("schema", "100%s", "must have no percent sign"),
        ("schema", "a\nb", "without control characters"),
        ("database", "a\x7fb", "without control characters"),
        ("schema", "\udcff", "is not valid Unicode"),
    ],
)
def test_what_cannot_be_a_name_is_refused_with_the_reason(
    postgres: Postgres, tmp_path: Path, setting: str, name: str, why: str
) -> None:
    """Before anything is connected."""
    file = configured(postgres, "k:1", tmp_path, "d", "s", "a")
    done = CliRunner().invoke(main, ["setup", "--config", str(file), "--set", f"database.{setting}={name}"])
    assert done.exit_code == 2
    assert done.output.startswith(f"--set database.{setting}: ")
    assert why in done.output


def test_a_run_that_is_killed_leaves_the_old_schema_or_the_new_one(
    postgres: Postgres, broker: str, tmp_path: Path
) -> None:
    """SIGKILL in the middle, with half of the statements done, and at moments all over a run; then it goes on."""
    file = configured(postgres, broker, tmp_path, "killed", "s", "killed")
    run(file, "setup")
    with connect(postgres, "killed") as connection:
        run(file, "downgrade-schema", "0001", "--yes")
        run(file, "create-schema")
        newest = connection.execute(OBJECTS, ("s", "s")).fetchall()
        run(file, "downgrade-schema", "0001", "--yes")
        older = connection.execute(OBJECTS, ("s", "s")).fetchall()
        with connect(postgres, "killed") as reader, reader.transaction():
            # The tables of targets are changed first, then those of results, which are held.
            reader.execute("SELECT count(*) FROM s.availability_result")
            assert killed(file, connection, when=lambda: waiting(connection)) == -signal.SIGKILL
        assert connection.execute(OBJECTS, ("s", "s")).fetchall() == older
        statuses = set()
        for tenths in range(3, 24, 3):
            deadline = time.monotonic() + tenths / 10
            statuses.add(killed(file, connection, when=partial(has_passed, deadline)))
            present = connection.execute(OBJECTS, ("s", "s")).fetchall()
            assert present in (older, newest)
            if present == newest:
                run(file, "downgrade-schema", "0001", "--yes")
        assert -signal.SIGKILL in statuses
        assert run(file, "create-schema").startswith("schema s: at revision ")
        assert connection.execute(OBJECTS, ("s", "s")).fetchall() == newest


def waiting(connection: psycopg.Connection[TupleRow]) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbadmin' AND wait_event_type = 'Lock'"
    ).fetchone()
    return row == (1,)


def has_passed(deadline: float) -> bool:
    return time.monotonic() > deadline


def killed(file: Path, connection: psycopg.Connection[TupleRow], when: Callable[[], bool]) -> int:
    """Kill `create-schema` when a condition holds; its exit status, once the server has noticed."""
    command = [script("dbadmin"), "create-schema", "--config", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    while not when() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    status = process.wait()
    deadline = time.monotonic() + 60
    while connection.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = 'dbadmin'").fetchone():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return status
