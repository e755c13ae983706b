"""PgBouncer between the services and PostgreSQL: each pool mode works, or is refused before anything is half done."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from local_stack.processes import script
from monitoring_testkit.needs import need
from monitoring_testkit.servers.pgbouncer import missing, pgbouncer
from monitoring_testkit.waiting import until

from .checks import checked
from .published import results

if TYPE_CHECKING:
    from .pipeline import Pipeline

pytestmark = pytest.mark.end_to_end

COUNT = 6_000
MODES = ["session", "transaction"]


@pytest.mark.parametrize("mode", MODES)
def test_consumers_store_everything_once_through_a_pool(proxied: Pipeline, mode: str) -> None:
    """Two of them in one pool, with new rows, redeliveries and unknown ones, on a database with settings of its own."""
    need("PgBouncer", missing())
    assert proxied.proxy
    with proxied.postgres.connect() as admin, pgbouncer(proxied.proxy.port, mode) as pool:
        proxied.proxy = pool  # type: ignore[assignment]  # consumers need its port alone
        for setting in ("default_transaction_read_only = on", "synchronous_commit = off", "datestyle = 'German'"):
            admin.execute(f"ALTER DATABASE monitoring SET {setting}")
        try:
            services = [proxied.consumer(name) for name in ("one", "two")]
            for service in services:
                service.wait_until_ready()
            proxied.publish_results(results(COUNT))
            for begin in range(0, COUNT, COUNT // 6):
                proxied.publish_results([*results(300, begin), *results(300, COUNT + begin)])
            proxied.until_stored()
            until(lambda: proxied.unread() == 0, what=proxied.logs)
            assert all(service.get("/readyz") for service in services)
            assert not proxied.messages(proxied.dead_letter_topic)
        finally:
            for name in ("default_transaction_read_only", "synchronous_commit", "datestyle"):
                admin.execute(f"ALTER DATABASE monitoring RESET {name}")
        proxied.compare()
        left = admin.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'").fetchone()
        assert left == (0,)


def test_a_consumer_ends_on_a_pool_that_keeps_no_transaction_together(proxied: Pipeline) -> None:
    """With one sentence, and nothing is stored."""
    need("PgBouncer", missing())
    assert proxied.proxy
    with pgbouncer(proxied.proxy.port, "statement") as pool:
        proxied.proxy = pool  # type: ignore[assignment]  # consumers need its port alone
        proxied.publish_results(results(10))
        consumer = proxied.consumer()
        assert consumer.child.wait() == 1
        assert "set its pool_mode to transaction or session" in consumer.child.last_lines()
    assert proxied.stored() == 0


@pytest.mark.parametrize("mode", [*MODES, "statement"])
@pytest.mark.parametrize("command", [["setup"], ["create-schema"], ["maintain"], ["targets", "list"]])
def test_dbadmin_refuses_a_pool_before_it_changes_anything(proxied: Pipeline, mode: str, command: list[str]) -> None:
    """It holds locks for longer than a transaction."""
    need("PgBouncer", missing())
    assert proxied.proxy
    with pgbouncer(proxied.proxy.port, mode) as pool:
        words = [script("dbadmin"), *command, "--config", str(proxied.directory / "setup.yaml")]
        done = subprocess.run(
            [*words, "--set", f"database.port={pool.port}"], capture_output=True, text=True, check=False, timeout=60
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert "is a pool of connections (PgBouncer), and this command needs the server itself" in done.stderr
    with proxied.postgres.connect() as admin:
        assert admin.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


@pytest.mark.parametrize("mode", MODES)
def test_producers_keep_their_leases_through_a_pool(proxied: Pipeline, mode: str) -> None:
    """A standby takes over; every slot has its row, on a database with settings of its own."""
    need("PgBouncer", missing())
    assert proxied.proxy
    settings = {"default_transaction_read_only": "on", "datestyle": "'German'", "timezone": "'Asia/Kolkata'"}
    with proxied.postgres.connect() as admin, pgbouncer(proxied.proxy.port, mode) as pool:
        proxied.proxy = pool  # type: ignore[assignment]  # services need its port alone
        with checked(proxied) as checks:
            for name, value in settings.items():
                admin.execute(f"ALTER DATABASE monitoring SET {name} = {value}")
            try:
                first, second = checks.start("producer first"), checks.start("producer second")
                until(lambda: "standing by" in second.child.last_lines(20), what=proxied.logs)
                first.child.signal(signal.SIGKILL)
                until(lambda: bool(second.get("/readyz")), 15, proxied.logs)
                time.sleep(2)
            finally:
                for name in settings:
                    admin.execute(f"ALTER DATABASE monitoring RESET {name}")
            assert checks.compare() == {"up", "unknown missed_window"}


def test_a_producer_ends_on_a_pool_that_keeps_no_transaction_together(proxied: Pipeline) -> None:
    """With one sentence, before it holds an ID."""
    need("PgBouncer", missing())
    assert proxied.proxy
    with pgbouncer(proxied.proxy.port, "statement") as pool:
        proxied.proxy = pool  # type: ignore[assignment]  # services need its port alone
        producer = proxied.producer("one")
        assert producer.child.wait() == 1
        assert "set its pool_mode to transaction or session" in producer.child.last_lines()
    with proxied.postgres.connect() as admin:
        assert admin.execute(f"SELECT count(*) FROM {proxied.name}.producer_lease").fetchone() == (0,)


def examined(pipeline: Pipeline, mode: str) -> list[str]:
    """What the doctor says through a pool and does not pass, about PostgreSQL."""
    assert pipeline.proxy
    with pgbouncer(pipeline.proxy.port, mode) as pool:
        words = [script("dbadmin"), "doctor", "--config", str(pipeline.directory / "setup.yaml")]
        command = [*words, "--set", f"database.port={pool.port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return [line for line in done.stdout.splitlines() if "PostgreSQL" in line and not line.startswith("pass")]


def test_doctor_says_once_that_a_pool_keeps_no_transaction_together(proxied: Pipeline) -> None:
    need("PgBouncer", missing())
    (line,) = examined(proxied, "statement")
    assert line.startswith("fail  PostgreSQL as database.user: PostgreSQL at 127.0.0.1:")
    assert "set its pool_mode to transaction or session" in line
    assert "could not be looked at" not in line


def test_doctor_blames_no_setting_that_sessions_make_good(proxied: Pipeline) -> None:
    """Consumers wait for the disk through a pool too, whatever the database is set to."""
    need("PgBouncer", missing())
    with proxied.postgres.connect() as admin:
        admin.execute("ALTER DATABASE monitoring SET synchronous_commit = off")
        try:
            (line,) = examined(proxied, "transaction")
        finally:
            admin.execute("ALTER DATABASE monitoring RESET synchronous_commit")
    assert line.startswith("warn  way to PostgreSQL: a connection pool is between")
