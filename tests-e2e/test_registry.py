"""Leases and targets, between dbadmin's tables and the producer's statements."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from local_stack.servers import connect
from local_stack.stack import DATABASE, Stack
from monitoring_core.config import load_config
from monitoring_core.errors import OutageError
from monitoring_core.testing.builders import DEFAULTS
from monitoring_testkit.servers.postgresql import quick_postgresql
from producer_svc.adapters.leases import PostgresLeases
from producer_svc.adapters.postgres import ProducerConnection
from producer_svc.adapters.target_table import PostgresTargetTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg.rows import TupleRow

pytestmark = pytest.mark.integration_test
TABLE = "monitoring.availability_monitor_config"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Tables, and no services."""
    directory: Path = tmp_path_factory.mktemp("registry")
    with quick_postgresql(directory / "postgres") as postgres:
        made = Stack(directory, postgres, "nowhere:1", 60, 10)
        made.write_config()
        with psycopg.connect(host=postgres.host, port=postgres.port, user=postgres.user, dbname="postgres") as admin:
            admin.autocommit = True
            admin.execute(f"CREATE DATABASE {DATABASE}")
        made.dbadmin("create-schema")
        yield made


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[TupleRow]]:
    with connect(stack.postgres, DATABASE) as connection:
        connection.autocommit = True
        connection.execute(f"TRUNCATE {TABLE}, monitoring.producer_lease")
        yield connection


def connection(stack: Stack) -> ProducerConnection:
    return ProducerConnection(load_config(stack.config_file, environ={}).database)


def leases(stack: Stack, holder: str, location: str = "here") -> PostgresLeases:
    return PostgresLeases(connection(stack), location, holder, DEFAULTS)


def test_an_id_has_one_holder_in_each_location(stack: Stack, database: object) -> None:
    """Until the lease has run out, or was given back; whoever comes next hears where the last one was."""
    first, second = leases(stack, "first"), leases(stack, "second")
    began_ms = first.acquire(1, 60.0)
    assert began_ms is not None
    assert first.acquire(1, 60.0) == began_ms
    assert second.acquire(1, 60.0) is None
    assert second.holder(1) == "first"
    assert second.renew(1, began_ms + 9, 60.0) is False
    assert abs((leases(stack, "third", "elsewhere").acquire(1, 60.0) or 0) - 1000 * time.time()) < 60_000
    assert first.renew(1, began_ms + 1_234, 60.0) is True
    assert first.renew(1, began_ms, 0.2) is True  # the watermark never goes back
    time.sleep(0.4)
    assert second.acquire(1, 60.0) == began_ms + 1_234
    assert first.renew(1, began_ms + 5_000, 60.0) is False
    first.release(1, began_ms + 5_000)
    assert first.acquire(1, 60.0) is None
    second.release(1, began_ms + 2_000)
    assert first.acquire(1, 60.0) == began_ms + 2_000


def test_a_lapsed_lease_that_nobody_took_goes_on(stack: Stack, database: object) -> None:
    """A producer that was without PostgreSQL for a while keeps its ID."""
    held = leases(stack, "held")
    assert held.acquire(1, 0.1) is not None
    time.sleep(0.3)
    assert held.renew(1, 0, 60.0) is True
    assert leases(stack, "other").acquire(1, 60.0) is None


def test_free_ids_are_the_lowest_that_nobody_holds(stack: Stack, database: object) -> None:
    """Those whose leases have run out are free again."""
    one = leases(stack, "one")
    for producer_id, lease_s in ((1, 60.0), (2, 0.1), (4, 60.0)):
        one.acquire(producer_id, lease_s)
    time.sleep(0.3)
    assert one.free(6, 2) == [2, 3]
    assert one.free(6, 10) == [2, 3, 5, 6]
    assert one.free(1, 10) == []
    assert one.free(0, 10) == []


def test_what_was_left_by_ids_that_nobody_holds_is_told(stack: Stack, database: object) -> None:
    """The earliest moment within the look-back, in this location."""
    one, other = leases(stack, "one"), leases(stack, "one", "elsewhere")
    assert one.unheld_since(60.0) is None
    began = dict.fromkeys((1, 2, 3), round(1000 * time.time()))
    for producer_id in began:
        one.acquire(producer_id, 60.0)
    assert one.unheld_since(60.0) is None
    other.acquire(1, 60.0)
    other.release(1, 0)
    assert one.unheld_since(60.0) is None
    one.release(2, began[2] + 100)
    one.release(3, began[3] + 50)
    time.sleep(1.0)
    assert one.unheld_since(60.0) == min(began[2] + 100, began[3] + 50)
    assert one.unheld_since(0.1) is None


def test_the_version_changes_with_the_targets_and_with_nothing_else(
    stack: Stack, database: psycopg.Connection[TupleRow]
) -> None:
    """Whatever statement changes them, and only once it is committed."""
    reader = PostgresTargetTable(connection(stack))
    versions = [reader.version()[0]]
    for statement in (
        f"INSERT INTO {TABLE} (amc_url) SELECT 'http://x/' || n FROM generate_series(1, 50) n",
        f"UPDATE {TABLE} SET amc_regexp = 'x' WHERE amc_id = 7",
        f"DELETE FROM {TABLE} WHERE amc_url LIKE '%9'",
        f"TRUNCATE {TABLE}",
    ):
        with database.transaction():
            database.execute(statement)
            assert reader.version()[0] == versions[-1]
        versions.append(reader.version()[0])
        assert reader.version()[0] == versions[-1]
    assert len(set(versions)) == len(versions)
    with database.transaction(force_rollback=True):
        database.execute(f"INSERT INTO {TABLE} (amc_url) VALUES ('http://undone/')")
    assert reader.version()[0] == versions[-1]


def test_targets_come_with_the_moment_since_which_they_are_due(
    stack: Stack, database: psycopg.Connection[TupleRow]
) -> None:
    """It moves when a target is activated or its interval changes, and at no other edit."""
    reader = PostgresTargetTable(connection(stack))
    database.execute(f"INSERT INTO {TABLE} (amc_url) SELECT 'http://x/' || n FROM generate_series(1, 12) n")

    def since() -> list[int]:
        return [moment for _, moment in reader.read(range(100))]

    first = since()
    assert len(first) == 12
    assert abs(first[0] - 1000 * time.time()) < 60_000
    time.sleep(0.01)
    database.execute(f"UPDATE {TABLE} SET amc_regexp = 'x', amc_active = true")
    assert since() == first
    database.execute(f"UPDATE {TABLE} SET amc_active = false WHERE amc_url = 'http://x/1'")
    assert since() == first[1:]
    database.execute(f"UPDATE {TABLE} SET amc_active = true WHERE amc_url = 'http://x/1'")
    database.execute(f"UPDATE {TABLE} SET amc_check_interval_s = 5 WHERE amc_url = 'http://x/2'")
    again = since()
    assert [moment > before for moment, before in zip(again, first, strict=True)] == [True, True] + 10 * [False]
    ids = [record.id for record, _ in reader.read(range(100))]
    assert [record.id for record, _ in reader.read(range(5, 8))] == ids[5:8]
    assert reader.count_active() == 12


def test_tables_of_an_older_revision_are_named_with_the_mend(stack: Stack, database: object) -> None:
    """The line says what to do."""
    with connect(stack.postgres, DATABASE) as connection:
        connection.execute("ALTER TABLE monitoring.producer_lease RENAME TO gone")
        connection.commit()
        try:
            with pytest.raises(OutageError, match=r"run dbadmin create-schema$"):
                leases(stack, "any").acquire(1, 1.0)
        finally:
            connection.execute("ALTER TABLE monitoring.gone RENAME TO producer_lease")
            connection.commit()
