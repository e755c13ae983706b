"""A PostgreSQL in German, with German dates and in another time zone, behind PgBouncer: all works, or is refused."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from local_stack.processes import script
from local_stack.servers import Postgres, connect
from local_stack.stack import DATABASE, Stack
from monitoring_testkit.needs import need
from monitoring_testkit.servers import german_postgresql as german
from monitoring_testkit.servers import pgbouncer
from monitoring_testkit.topics import messages
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.end_to_end

# Words that only the server says, in what it answers to that which the tests below do wrong.
GERMAN = re.compile(r"FEHLER|Datenbank|Passwort|existiert|Verbindung|Berechtigung|Relation|Zeit")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    need("German PostgreSQL", german.missing())
    with german.german_postgresql() as running:
        with connect(running, "postgres") as admin:
            admin.execute("CREATE ROLE kunde LOGIN PASSWORD 'geheim'")
        yield running


@pytest.fixture
def stack(server: Postgres, apache_kafka: str, tmp_path: Path) -> Iterator[Stack]:
    """Nothing is set up."""
    made = Stack(tmp_path, server, apache_kafka, interval_s=1, timeout_s=0.8, websites_per_container=10)
    made.write_config()
    yield made
    made.stop_all()


def run(stack: Stack, program: str, *arguments: str) -> tuple[int, str]:
    """The status of a command and all that it says."""
    command = [script(program), *arguments, "--config", str(stack.config_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def refused(stack: Stack, *settings: str) -> str:
    """What doctor says of PostgreSQL with these settings."""
    arguments = [part for setting in settings for part in ("--set", setting)]
    status, said = run(stack, "dbadmin", "doctor", *arguments)
    assert status == 1
    (line,) = (line for line in said.splitlines() if line.startswith("fail  PostgreSQL as database.user"))
    return line


def test_the_server_speaks_german(server: Postgres) -> None:
    """Otherwise this module would prove nothing."""
    with connect(server, "postgres") as admin:
        assert admin.execute("SHOW lc_messages").fetchone() == ("de_DE.UTF-8",)
        assert admin.execute("SELECT '2026-11-26'::date::text").fetchone() == ("26.11.2026",)
        with pytest.raises(Exception, match="existiert nicht"):
            admin.execute("SELECT * FROM nowhere")


def test_faults_are_told_as_those_of_any_server(stack: Stack) -> None:
    """Before the setup: a missing database, a refused password, a schema that is not there."""
    wrong = stack.directory / "wrong"
    wrong.write_text("falsch")
    login = ["database.user=kunde", f"database.password={{file: {wrong}}}", "database.database=postgres"]
    for settings in (["database.database=nirgends"], login):
        said = refused(stack, *settings)
        assert f"PostgreSQL at 127.0.0.1:{stack.postgres.port} refuses the connection: " in said
        assert "correct database.user and password, run dbadmin setup if the database is missing" in said
    status, said = run(stack, "dbadmin", "targets", "list", "--set", "database.database=postgres")
    assert status == 1
    assert said.endswith("existiert nicht (run dbadmin create-schema)\n")


def test_from_setup_to_rows_behind_a_pool(stack: Stack, website: str) -> None:
    """dbadmin needs the server itself and says so; the services work through transactions of the pool."""
    need("PgBouncer", pgbouncer.missing())
    said = stack.dbadmin("setup") + stack.dbadmin("setup")
    assert GERMAN.findall(said) == []
    direct = stack.postgres
    stack.import_targets([{"url": f"{website}/{number}", "regexp": "OK"} for number in range(10)])
    with pgbouncer.pgbouncer(direct.port, "transaction") as pool:
        stack.postgres = Postgres("127.0.0.1", pool.port, "postgres")
        stack.write_config()
        status, said = run(stack, "dbadmin", "maintain")
        assert status == 1
        assert "is a pool of connections (PgBouncer), and this command needs the server itself" in said
        stack.start("consumer-svc")
        producer = stack.start("producer-svc 1", "--id", "1")
        producer.wait_until_ready()
        until(lambda: count(direct) >= 40, 60, lambda: producer.child.last_lines(20))
        stack.postgres = direct
        stack.write_config()
        assert GERMAN.findall(stack.dbadmin("maintain")) == []
        assert GERMAN.findall(stack.dbadmin("doctor")) == []
        assert producer.child.stop() == 0
        sent = [json.loads(one.value() or b"") for one in messages(stack.bootstrap_servers, "website_availability")]
        until(lambda: count(direct) == len(sent))
        assert stack.services["consumer-svc"].child.stop() == 0
        # What was due before the producer came is unknown.
        assert {(one["status"], one.get("reason")) for one in sent} <= {("up", None), ("unknown", "missed_window")}
        assert len({(one["target_id"], one["scheduled_at"]) for one in sent}) == len(sent)


def count(postgres: Postgres) -> int:
    with connect(postgres, DATABASE) as connection:
        row = connection.execute("SELECT count(*) FROM monitoring.availability_result").fetchone()
    return int(row[0]) if row else -1
