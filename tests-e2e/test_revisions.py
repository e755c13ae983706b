"""Every revision of the schema, forwards and backwards, under the real consumer's writes."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from typing import TYPE_CHECKING, Self

import psycopg
import pytest
from alembic import command
from click.testing import CliRunner

from consumer_svc.adapters.postgres import PostgresWriter
from dbadmin.cli import main
from dbadmin.connect import connected
from dbadmin.history import partitions
from dbadmin.install import locks, revisions
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_core.config import Config, load_config
from monitoring_core.errors import OutageError, StopError
from monitoring_core.revision import CONSUMER_NEEDS, PRODUCER_NEEDS, why_unfit
from monitoring_core.testing.builders import make_result
from monitoring_testkit import database
from monitoring_testkit.servers.postgresql import quick_postgresql
from monitoring_testkit.waiting import until
from producer_svc.adapters.postgres import ProducerConnection
from producer_svc.adapters.target_table import PostgresTargetTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg.rows import TupleRow

    from local_stack.servers import Postgres

pytestmark = pytest.mark.integration_test

_names = itertools.count()
TODAY = dt.datetime.now(dt.UTC).date()
RESULTS = "monitoring.availability_result"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with quick_postgresql(tmp_path_factory.mktemp("revisions") / "postgres") as running:
        yield running


@pytest.fixture
def config_file(postgres: Postgres, tmp_path: Path) -> Path:
    """A configuration with an empty database of the test's own."""
    file = tmp_path / "config.yaml"
    file.write_text(
        "kafka: {bootstrap_servers: 'k:1'}\n"
        f"database: {{host: '{postgres.host}', port: {postgres.port}, user: {postgres.user}, "
        f"database: d{next(_names)}}}\n"
    )
    create_database(load_config(file, environ={}).database)
    return file


@pytest.fixture
def config(config_file: Path) -> Config:
    return load_config(config_file, environ={})


def connect(config: Config) -> psycopg.Connection[TupleRow]:
    return database.connect(config.database)


def known(config: Config) -> list[str]:
    """All revisions, the oldest first."""
    return [script.revision for script in reversed(revisions._known(revisions._alembic(config.database), None, ""))]


def up_to(config: Config, revision: str) -> None:
    revisions._migrate(config.database, lambda alembic, _: command.upgrade(alembic, revision))


def described(config: Config) -> list[tuple[object, ...]]:
    """All that a revision makes but the version table: columns, constraints, indexes, triggers, functions, views."""
    with connect(config) as connection:
        return connection.execute(
            """
            SELECT 'column', relname, attname, format_type(atttypid, atttypmod), attnotnull::text
            FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname = 'monitoring' AND attnum > 0 AND NOT attisdropped AND relname !~ 'schema_version'
            UNION ALL
            SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(k.oid), ''
            FROM pg_constraint k JOIN pg_namespace n ON n.oid = connamespace
            WHERE nspname = 'monitoring' AND conrelid::regclass::text !~ 'schema_version'
            UNION ALL
            SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), '', '' FROM pg_index
            WHERE indrelid::regclass::text LIKE 'monitoring.%%' AND indrelid::regclass::text !~ 'schema_version'
            UNION ALL
            SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid), '', '' FROM pg_trigger
            WHERE NOT tgisinternal
            UNION ALL
            SELECT 'function', proname, prosrc, '', '' FROM pg_proc
            WHERE pronamespace::regnamespace::text = 'monitoring'
            UNION ALL
            SELECT 'view', viewname, definition, '', '' FROM pg_views WHERE schemaname = 'monitoring'
            ORDER BY 1, 2, 3, 4
            """.replace("%%", "%")
        ).fetchall()


class Writing:
    """A consumer that writes without a pause, and the time of its longest write."""

    def __init__(self, config: Config) -> None:
        self._writer = PostgresWriter(config.database)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.stored = 0
        self.longest_s = 0.0
        self.outages: list[str] = []

    def __enter__(self) -> Self:
        self._writer.prepare()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def more(self) -> None:
        """Wait until the consumer has stored more rows."""
        before = self.stored
        until(lambda: self.stored > before)

    def _run(self) -> None:
        start = dt.datetime.combine(TODAY, dt.time(), dt.UTC)
        for second in itertools.count():
            if self._stop.is_set():
                return
            result = make_result(target_id=1, scheduled_at=start + dt.timedelta(seconds=second % 86_400))
            began = time.monotonic()
            while True:
                try:
                    self.stored += self._writer.write([result]).stored
                    break
                except OutageError as error:
                    self.outages.append(str(error))
            self.longest_s = max(self.longest_s, time.monotonic() - began)


def test_every_revision_says_whom_it_still_serves(config: Config) -> None:
    """For a revision without the line nobody could know which services work with it."""
    scripts = revisions._known(revisions._alembic(config.database), None, "")
    assert [script.revision for script in scripts] == sorted([s.revision for s in scripts], reverse=True)
    for script in scripts:
        assert len(script.revision) == 4
        assert script.module.oldest_served <= script.revision
    assert max(PRODUCER_NEEDS, CONSUMER_NEEDS) <= scripts[0].revision


def test_each_revision_upgrades_with_rows_in_the_tables_and_a_downgrade_restores(config: Config) -> None:
    """What was there before a revision is there after it, rows and all, and again after going back."""
    described_at, numbers = {}, known(config)
    for number in numbers:
        up_to(config, number)
        described_at[number] = described(config)
        if number == numbers[0]:
            list(create_partitions_of(config))
            with connect(config) as connection:
                connection.execute("INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES ('http://a/')")
                connection.execute(
                    f"INSERT INTO {RESULTS} (target_id, scheduled_at, location, status, producer_id, error) "
                    "SELECT 1, now() - n * interval '1 minute', 'here', 'up', 1, 'é' FROM generate_series(1, 2000) n"
                )
            described_at[number] = described(config)
        rows = contents(config)
    for number in reversed(numbers[:-1]):
        revisions.downgrade(config.database, number)
        assert plain(described(config)) == plain(described_at[number]), number
        assert contents(config) == rows
    revisions.downgrade(config.database, revisions.BASE)
    assert described(config) == []
    up_to(config, "head")
    assert plain(described(config)) == plain(described_at[numbers[-1]])


def create_partitions_of(config: Config) -> Iterator[str]:
    with connected(config.database, autocommit=True) as connection:
        yield from partitions.make_ahead(connection, "monitoring", TODAY, config.database.partitions_ahead)


def plain(described: list[tuple[object, ...]]) -> set[tuple[object, ...]]:
    """The objects without the partitions of days, which no revision makes."""
    return {row for row in described if "availability_result_2" not in str(row[1])}


def contents(config: Config) -> tuple[object, ...]:
    columns = "target_id, scheduled_at, location, status, producer_id, error"
    with connect(config) as connection:
        results = connection.execute(f"SELECT count(*), md5(string_agg(({columns})::text, '' ORDER BY scheduled_at)) "
                                     f"FROM {RESULTS}").fetchone()  # fmt: skip
        targets = connection.execute("SELECT amc_id, amc_url FROM monitoring.availability_monitor_config").fetchall()
    return results, targets


def test_a_consumer_goes_on_writing_through_every_upgrade_that_serves_it(config: Config) -> None:
    """None of its writes fails, none waits for long, and every row that it says is stored is there."""
    numbers = known(config)
    for number in numbers[: numbers.index(CONSUMER_NEEDS) + 1]:
        up_to(config, number)
    list(create_partitions_of(config))
    with Writing(config) as consumer:
        consumer.more()
        for number in numbers[numbers.index(CONSUMER_NEEDS) + 1 :]:
            up_to(config, number)
            consumer.more()
        list(create_schema(config.database, TODAY + dt.timedelta(days=3)))
        consumer.more()
    assert consumer.outages == []
    assert consumer.longest_s < 20
    with connect(config) as connection:
        assert connection.execute(f"SELECT count(*) FROM {RESULTS}").fetchone() == (consumer.stored,)


def test_an_older_consumer_writes_through_every_upgrade(config: Config) -> None:
    """With the statement of the first release, which names the columns of revision 0001 alone."""
    first, *later = known(config)
    up_to(config, first)
    statement = (
        f"INSERT INTO {RESULTS} (target_id, scheduled_at, location, status, producer_id) "
        "VALUES (1, clock_timestamp(), 'here', 'up', 1)"
    )
    stop, written = threading.Event(), [0]

    def write() -> None:
        with connect(config) as connection:
            while not stop.is_set():
                connection.execute(statement)
                written[0] += 1

    def more() -> None:
        before = written[0]
        until(lambda: written[0] > before)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in later:
            up_to(config, number)
            more()
    finally:
        stop.set()
        writer.join(60)
    with connect(config) as connection:
        assert connection.execute(f"SELECT count(*) FROM {RESULTS}").fetchone() == (written[0],)


def test_a_table_that_somebody_holds_holds_up_writers_for_a_moment_only(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upgrade waits its turn again and again, gives up with one plain line, and goes on when the table is free."""
    numbers = known(config)
    up_to(config, numbers[-1])
    monkeypatch.setattr(locks, "GIVE_UP_S", 12.0)  # so long would a write wait if an upgrade did not step back
    before = described(config)
    with connect(config) as long, connect(config) as other, long.transaction():
        long.execute(f"SELECT count(*) FROM {RESULTS}")
        failed: list[str] = []

        def back() -> None:
            try:
                revisions.downgrade(config.database, numbers[0])
            except StopError as error:
                failed.append(str(error))

        downgrading = threading.Thread(target=back)
        downgrading.start()
        longest_s = 0.0
        while downgrading.is_alive():
            began = time.monotonic()
            other.execute(
                f"INSERT INTO {RESULTS} (target_id, scheduled_at, location, status, producer_id) "
                "VALUES (1, clock_timestamp(), 'here', 'up', 1)"
            )
            longest_s = max(longest_s, time.monotonic() - began)
        assert longest_s < revisions.LOCK_TIMEOUT_MS / 1000 + 7
        (line,) = failed
        assert line.startswith(f"schema monitoring: process {long.info.backend_pid} (test as ")
        assert line.endswith(
            " UTC) has held its tables for 12 s, so nothing was changed; try again when it is done, or end it"
        )
        assert described(config) == before
    revisions.downgrade(config.database, numbers[0])


def test_a_service_refuses_to_start_on_a_schema_that_is_not_for_it(config: Config) -> None:
    """Too old, or too new: one line that names the command; a schema that is not there yet is waited for."""
    database = config.database
    for start in (PostgresWriter(database).prepare, PostgresTargetTable(ProducerConnection(database)).version):
        with pytest.raises(OutageError, match=r"run dbadmin create-schema$"):
            start()
    up_to(config, "0002")
    for start, needs in ((PostgresWriter(database).prepare, CONSUMER_NEEDS),
                         (PostgresTargetTable(ProducerConnection(database)).version, PRODUCER_NEEDS)):  # fmt: skip
        with pytest.raises(StopError) as caught:
            start()
        assert str(caught.value) == (
            f"PostgreSQL at {database.address}, schema monitoring is at revision 0002, too old for this service, which "
            f"needs {needs}: run dbadmin create-schema"
        )
    up_to(config, "head")
    with connect(config) as connection:
        connection.execute("UPDATE monitoring.schema_version SET version_num = '9999', oldest_served = '9998'")
        with pytest.raises(
            StopError, match=f"use a newer release of it, or run dbadmin downgrade-schema {CONSUMER_NEEDS}"
        ):
            PostgresWriter(database).prepare()
        with pytest.raises(StopError, match=f"dbadmin downgrade-schema {PRODUCER_NEEDS}$"):
            PostgresTargetTable(ProducerConnection(database)).version()
        connection.execute("UPDATE monitoring.schema_version SET oldest_served = '0001'")
        PostgresWriter(database).prepare()
        PostgresTargetTable(ProducerConnection(database)).version()


def test_a_service_that_works_waits_when_the_schema_is_no_longer_for_it(config: Config) -> None:
    """It never ends for that: a producer keeps its targets, a consumer leaves its results in Kafka."""
    up_to(config, "head")
    writer, targets = PostgresWriter(config.database), PostgresTargetTable(ProducerConnection(config.database))
    writer.prepare()
    targets.version()
    with connect(config) as connection:
        connection.execute("UPDATE monitoring.schema_version SET version_num = '9999', oldest_served = '9999'")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
    for work in (lambda: writer.write([make_result()]), targets.version):
        with pytest.raises(OutageError):  # the connection that was cut
            work()
        with pytest.raises(OutageError, match="too new for this service"):
            work()


@pytest.mark.parametrize(
    ("present", "oldest_served", "fit"),
    [(None, None, False), ("0003", None, False), ("0004", None, True), ("0005", None, False), ("0005", "0004", True),
     ("0009", "0001", True), ("0009", "0005", False), ("0010", "0004", True)],
)  # fmt: skip
def test_what_is_fit_for_a_service(present: str | None, oldest_served: str | None, fit: bool) -> None:
    """Its own revision, or a newer one that says that it still serves it."""
    assert (why_unfit("0004", present, oldest_served, "s") is None) is fit


def run(config_file: Path, *arguments: str, answer: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(main, [*arguments, "--config", str(config_file)], input=answer)
    return done.exit_code, done.output


def test_a_downgrade_is_asked_for_twice(config_file: Path, config: Config) -> None:
    """It tells which revisions are undone; without a yes nothing is changed."""
    newest = known(config)[-1]
    up_to(config, newest)
    status, said = run(config_file, "downgrade-schema", "0002", answer="n\n")
    assert status == 1
    assert "  0003: Who works which targets" in said
    assert "  0002:" not in said
    assert run(config_file, "create-schema")[1].splitlines()[0] == f"schema monitoring: at revision {newest} already"
    done = f"schema monitoring: at revision 0002, was {newest}\n"
    assert run(config_file, "downgrade-schema", "0002", "--yes") == (0, done)
    for wrong, why in (
        ("0003", "schema monitoring is at revision 0002: 0003 is not before that\n"),
        ("0042", f"there is no revision 0042; there are base, {', '.join(known(config))}\n"),
        ("-1", None),
        ("head", None),
        ("'; DROP", None),
    ):
        status, said = run(config_file, "downgrade-schema", "--yes", "--", wrong) if wrong == "-1" else run(
            config_file, "downgrade-schema", wrong, "--yes"
        )  # fmt: skip
        assert status != 0
        assert why in (said, None)
    assert run(config_file, "downgrade-schema", "base", "--yes")[0] == 0


def test_a_schema_of_a_newer_dbadmin_is_left_alone(config_file: Path, config: Config) -> None:
    """An older dbadmin says so in one line."""
    up_to(config, "head")
    with connect(config) as connection:
        connection.execute("UPDATE monitoring.schema_version SET version_num = '9999'")
    for arguments in (["create-schema"], ["create-schema", "--sql"], ["downgrade-schema", "0001", "--yes"]):
        assert run(config_file, *arguments) == (
            1,
            (
                "schema monitoring is at revision 9999, which this dbadmin does not know (its newest is "
                f"{known(config)[-1]}): use a newer dbadmin\n"
            ),
        )
