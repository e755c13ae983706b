"""Least privilege: what each part does works under its account, and what it must not do fails."""

from __future__ import annotations

import base64
import datetime as dt
import io
import itertools
import time
from typing import TYPE_CHECKING

import attrs
import psycopg
import pytest
import trustme
import yaml
from psycopg import sql
from psycopg.conninfo import make_conninfo

from alert_svc.adapters.alerts import PostgresAlerts
from alert_svc.adapters.postgres import PostgresStore
from alert_svc.alongside import alongside
from alert_svc.notify.channel_settings import AlertmanagerChannel, Channel, ChannelType, WebhookChannel
from alert_svc.notify.channels.build import sender
from alert_svc.notify.deliveries import Timing
from alert_svc.notify.metrics import Metrics
from alert_svc.notify.notifier import Notifier
from alert_svc.notify.settings import Escalation, Grouping, Heartbeat, Notifications, Route
from alert_svc.ports import LostError
from alert_svc.steps import Kept, Snapshot, Step, Tick
from consumer_svc.adapters.postgres import PostgresWriter
from dbadmin.install.roles import create_roles
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.targets.importing import Import
from dbadmin.targets.staging import staging
from dbadmin.targets.table import read_all
from monitoring_alerting.policies import DownPolicy, Kind, Policies
from monitoring_alerting.testing.scenes import decide, result
from monitoring_core.config import Config, Role, load_config
from monitoring_core.config.values import Secret
from monitoring_core.errors import StopError
from monitoring_core.result import Reason, Status
from monitoring_core.targets.files import FileFormat
from monitoring_core.targets.lines import Lines
from monitoring_core.testing.builders import DEFAULTS, make_result
from monitoring_runtime.stop import Stop
from monitoring_testkit.alert_rows import store, transition
from monitoring_testkit.alerts.fakes import TOPIC
from monitoring_testkit.database import connect
from monitoring_testkit.needs import need
from monitoring_testkit.servers.postgresql import missing, quick_postgresql
from monitoring_testkit.servers.receiver import receiver
from monitoring_testkit.servers.tls_postgresql import OWNER, tls_postgresql
from monitoring_testkit.waiting import until
from producer_svc.adapters.leases import PostgresLeases
from producer_svc.adapters.postgres import ProducerConnection
from producer_svc.adapters.target_table import PostgresTargetTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg.rows import TupleRow

    from monitoring_core.config import DatabaseConfig

pytestmark = pytest.mark.integration_test

_names = itertools.count()
DOWN = Policies((DownPolicy(name="down", kind=Kind.DOWN),))
TODAY = dt.datetime.now(dt.UTC).date()
VIEWS = (
    "website_status",
    "website_availability_hourly",
    "website_availability_daily",
    "website_incident",
    "website_check",
    "website_reason_hourly",
    "website_coverage_hourly",
    "website_due",
    "availability_progress",
    "availability_dirty_day",
    "website_availability_outside_daily",
    "maintenance_occurrence",
    "alert_transition",
    "alert_acknowledgement",
    "maintenance_window",
    "alert_notification",
    "alert_attempt",
    "alert_channel",
)


@attrs.frozen
class Server:
    """A PostgreSQL.

    Attributes:
        database: how the owner of the database connects, as the configuration says it.
        superuser: how the superuser connects, who only looks on.
        passwords: whether it asks for passwords.
    """

    database: dict[str, object]
    superuser: dict[str, str]
    passwords: bool
    directory: Path


@pytest.fixture(scope="module", params=["embedded PostgreSQL 18", "PostgreSQL with passwords"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("roles")
    if request.param == "embedded PostgreSQL 18":
        with quick_postgresql(directory / "postgres") as postgres:
            where: dict[str, object] = {"host": postgres.host, "port": postgres.port}
            superuser = {"host": postgres.host, "port": str(postgres.port), "user": postgres.user}
            with look(superuser, "postgres") as connection:
                connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB")
            yield Server(where | {"user": OWNER}, superuser, False, directory)
        return
    need("PostgreSQL with TLS", missing())
    with tls_postgresql(trustme.CA().issue_cert("127.0.0.1")) as secured:
        (directory / "owner").write_text(secured.owner_password)
        where = {"host": secured.postgres.host, "port": secured.postgres.port, "sslmode": "require"}
        superuser = {"host": secured.postgres.host, "port": str(secured.postgres.port), "sslmode": "require"}
        superuser |= {"user": "postgres", "password": secured.superuser_password}
        yield Server(
            where | {"user": OWNER, "password": {"file": str(directory / "owner")}}, superuser, True, directory
        )


def configured(server: Server, directory: Path, *, without: str = "") -> Config:
    """A configuration with a database and accounts of its own, none of which exists yet."""
    number = next(_names)
    roles: dict[str, object] = {}
    for role in Role:
        if role == without:
            continue
        roles[f"{role}_user"] = f"{role} {number}"
        if server.passwords:
            (directory / role).write_text(f"password of {role} {number}")
            roles[f"{role}_password"] = {"file": str(directory / role)}
    content = {
        "kafka": {"bootstrap_servers": "k:1"},
        "database": server.database | {"database": f"roles {number}"},
        "roles": roles,
    }
    file = directory / "config.yaml"
    file.write_text(yaml.safe_dump(content))
    return load_config(file, environ={})


def owned(config: Config) -> DatabaseConfig:
    return config.database_as(Role.ADMINISTRATOR) or config.database


def set_up(config: Config) -> list[str]:
    said = [create_database(config.database), *create_roles(config)]
    return said + list(create_schema(owned(config), TODAY, config.roles))


@pytest.fixture(params=["", "administrator"], ids=["five accounts", "without an administrator"])
def config(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    """Set up: with an administrator, and with the owner in its place."""
    made = configured(server, tmp_path, without=request.param)
    set_up(made)
    return made


def account(config: Config, role: Role) -> DatabaseConfig:
    found = config.database_as(role)
    assert found
    return found


def look(superuser: dict[str, str], database: str) -> psycopg.Connection[TupleRow]:
    return psycopg.connect(make_conninfo(**superuser, dbname=database), autocommit=True)


def onlooker(server: Server, config: Config) -> psycopg.Connection[TupleRow]:
    return look(server.superuser, config.database.database)


def test_all_that_each_part_does_works_under_its_account(config: Config) -> None:
    """Targets in, a producer's leases and reads, a consumer's rows on both of its ways, the views out."""
    lines = Lines(io.BytesIO(b'{"url": "http://a/", "headers": {"X": "secret"}}'))
    counts = Import(lambda *_: None).run(owned(config), staging(lines, FileFormat.JSONL))
    assert counts.added == 1
    assert [record.url for record in read_all(owned(config))] == ["http://a/"]
    producer = ProducerConnection(account(config, Role.PRODUCER))
    targets, leases = PostgresTargetTable(producer), PostgresLeases(producer, "default", "me", DEFAULTS)
    assert targets.version()[0] >= 1
    assert targets.count_active() == 1
    assert leases.free(3, 3) == [1, 2, 3]
    began_ms = leases.acquire(1, 60.0)
    assert began_ms is not None
    assert leases.acquire(1, 60.0) == began_ms
    assert leases.renew(1, began_ms, 60.0)
    assert leases.holder(1) == "me"
    assert [record.headers for record, _ in targets.read(range(10))] == [{"X": "secret"}]
    leases.release(1, began_ms)
    consumer = PostgresWriter(account(config, Role.CONSUMER))
    consumer.prepare()
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    missed = make_result(
        target_id=1, scheduled_at=now, status=Status.UNKNOWN, reason=Reason.MISSED_WINDOW, response_time_s=None
    )
    real = make_result(target_id=1, scheduled_at=now)
    old = make_result(target_id=1, scheduled_at=now - dt.timedelta(days=40))
    assert consumer.write([missed]).stored == 1
    assert consumer.write([real]).replaced == 1
    assert consumer.write([old, real]).stored == 1
    assert consumer.rows_by_default() == 1
    with connect(account(config, Role.READER)) as reader:
        for view in VIEWS:
            reader.execute(f"SELECT * FROM monitoring.{view}")
        assert reader.execute("SELECT url, status FROM monitoring.website_status").fetchall() == [("http://a/", "up")]


def test_all_that_alert_svc_does_works_under_its_account(config: Config) -> None:
    """Targets without their secrets, a takeover, a step with transitions, ticks and a snapshot; and no step twice."""
    with connect(owned(config)) as owner:
        owner.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_url, amc_headers, amc_labels, amc_active) VALUES "
            """('https://me:secret@a/', '{"X": "secret"}', '{"team": "shop"}', true), """
            "('http://b/', NULL, NULL, false)"
        )
    store = PostgresStore(account(config, Role.ALERT), 60)
    store.prepare()
    assert store.version() >= 1
    assert abs(store.now() / 1000 - time.time()) < 60
    (watched,) = store.read()
    assert (watched.name, watched.labels, watched.interval) == ("https://a/", {"team": "shop"}, 60_000)
    kept = store.take_over(TOPIC, 0, 5)
    assert kept == Kept(1, 5, 5)
    fired = decide([result(minute, "berlin", "d", watched.id) for minute in range(4)], DOWN, [watched])[-1]
    step = Step(0, 1, 5, 9, [fired, fired], [Tick(7, 1_000)])
    assert store.store(TOPIC, step) == 1
    with pytest.raises(LostError):
        store.store(TOPIC, step)
    assert store.take_over(TOPIC, 0, 0) == Kept(2, 9, 5, (Tick(7, 1_000),))
    assert store.store(TOPIC, Step(0, 2, 9, 9, [fired], snapshot=Snapshot(9, iter([b"one", b"two"])))) == 0
    assert store.store(TOPIC, Step(0, 2, 9, 12, snapshot=Snapshot(12, iter([b"three"])))) == 0
    again = store.take_over(attrs.evolve(TOPIC, id="anew"), 0, 0)
    assert again == Kept(3, 12, 12, (), (b"three",), moved=True)
    with pytest.raises(LostError):
        store.store(TOPIC, Step(0, 2, 12, 13))
    with connect(account(config, Role.READER)) as reader:
        (row,) = reader.execute("SELECT state, url, labels, evidence FROM monitoring.alert_transition").fetchall()
    alerts = PostgresAlerts(account(config, Role.ALERT))
    (shown,) = alerts.newest(only_open=True, limit=None)
    assert (shown["state"], shown["acknowledged_by"]) == ("firing", None)
    with pytest.raises(StopError, match="there is no alert ffffff: "):
        alerts.way("ffffff")
    with pytest.raises(StopError, match="is no ID of an alert"):
        alerts.acknowledge("%", "me", None)
    begin = shown["alert_id"][:8]
    assert [one["state"] for one in alerts.way(begin)] == ["firing"]
    acknowledged = alerts.acknowledge(begin, "me", "I see")
    assert (acknowledged["acknowledged_by"], acknowledged["ended"]) == ("me", False)
    assert alerts.acknowledge(begin, "you", None)["acknowledged_by"] == "me"
    assert [(one["acknowledged_by"], one["note"]) for one in alerts.newest(True, 1)] == [("me", "I see")]
    with connect(owned(config)) as owner:
        owner.execute("DELETE FROM monitoring.alert_transition")
        owner.execute(
            "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at) "
            """VALUES ('{"team": "shop"}', %s, now() + interval '1 hour')""",
            (fired.at,),
        )
    assert store.store(TOPIC, Step(0, 3, 12, 13, [fired])) == 1
    assert [one["silenced_window"] for one in alerts.way(begin)] == [1]
    now = store.now()
    assert store.tell_what_lasts(TOPIC, [(0, 3)], lambda _: now) == 0
    with connect(owned(config)) as owner:
        owner.execute("UPDATE monitoring.maintenance_window SET ended_at = now()")
    now = store.now()
    assert store.tell_what_lasts(TOPIC, [(0, 3)], lambda target: None if target == watched.id else now) == 0
    with pytest.raises(LostError):
        store.tell_what_lasts(TOPIC, [(0, 2)], lambda _: now)
    assert [store.tell_what_lasts(TOPIC, [(0, 3)], lambda _: now) for _ in range(2)] == [1, 0]
    told = alerts.way(begin)[-1]
    assert (told["state"], told["silenced_window"], told["cause"]) == ("firing", None, "maintenance window 1 is over")
    assert row[:3] == ("firing", "https://a/", {"team": "shop"})
    assert [one["status"] for one in row[3]] == ["down"] * 3


def test_all_that_notifications_do_works_under_its_account(config: Config) -> None:
    """Messages, attempts that fail and succeed, escalation, an end, and open alerts for an Alertmanager."""
    key = Secret("whsec_" + base64.b64encode(bytes(24)).decode(), "test")
    minute = dt.timedelta(minutes=1)
    at_once = Grouping(wait=dt.timedelta(), at_most=dt.timedelta())
    with receiver() as hook, connect(owned(config)) as owner:
        urls = {"ops": f"{hook.url}ops", "boss": f"{hook.url}boss"}
        channels: list[Channel] = [
            WebhookChannel(name=name, type=ChannelType.WEBHOOK, url=url, secret=key) for name, url in urls.items()
        ]
        channels.append(AlertmanagerChannel(name="am", type=ChannelType.ALERTMANAGER, url=hook.url))
        route = Route(channels=("ops", "am"), escalation=Escalation(after=minute, channels=("boss",)))
        settings = Notifications(
            channels=tuple(channels), routes=(route,), grouping=at_once, heartbeat=Heartbeat(url=f"{hook.url}beat")
        )
        senders = {channel.name: sender(channel) for channel in channels}
        timing = Timing(first_retry_s=0.1, last_retry_s=0.1, fails_after=1)
        notifier = Notifier(account(config, Role.ALERT), settings, senders, Metrics(), timing)
        hook.status = 500
        stop = Stop()
        with alongside("notifier", notifier.run, stop):
            store(owner, transition(1, "firing", "suspected"))
            failing = "SELECT FROM monitoring.alert_channel WHERE told_at IS NOT NULL"
            until(lambda: bool(owner.execute(failing).fetchall()))
            hook.status = 200
            owner.execute("UPDATE monitoring.alert_later SET due_at = now()")
            escalated = "SELECT state FROM monitoring.alert_notification WHERE kind = 'escalation'"
            until(lambda: owner.execute(escalated).fetchall() == [("sent",)])
            store(owner, transition(1, "resolved", "firing"))
            ends = "SELECT count(*) FROM monitoring.alert_notification WHERE kind = 'recovery' AND state = 'sent'"
            until(lambda: owner.execute(ends).fetchall() == [(3,)])
    assert {"/ops", "/boss", "/api/v2/alerts"} <= {request.path for request in hook.requests}


def test_a_partition_that_is_made_later_needs_no_further_right(config: Config) -> None:
    """Days that have come are written to with the rights on their parent."""
    later = TODAY + dt.timedelta(days=config.database.partitions_ahead + 2)
    list(create_schema(owned(config), later, config.roles))
    moment = dt.datetime.combine(later, dt.time(12), dt.UTC)
    writer = PostgresWriter(account(config, Role.CONSUMER))
    assert writer.write([make_result(target_id=1, scheduled_at=moment)]).stored == 1
    assert writer.rows_by_default() == 0


EVERYBODY = (
    "CREATE TABLE monitoring.mine (x int)",
    "CREATE TABLE public.mine (x int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION monitoring.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE monitoring.availability_result ADD COLUMN x int",
    "DROP TABLE monitoring.availability_result_default",
    "TRUNCATE monitoring.availability_result",
    "DELETE FROM monitoring.availability_result",
    "UPDATE monitoring.schema_version SET version_num = '9999'",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "ALTER SCHEMA monitoring RENAME TO mine",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY monitoring.schema_version TO PROGRAM 'true'",
    "SELECT rolpassword FROM pg_authid",
)
FORBIDDEN: dict[Role, tuple[str, ...]] = {
    Role.PRODUCER: (
        (
            "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, producer_id) "
            "VALUES (1, now(), 'x', 'up', 1)"
        ),
        "SELECT * FROM monitoring.availability_result",
        "UPDATE monitoring.availability_monitor_config SET amc_active = false",
        "INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES ('http://x/')",
        "UPDATE monitoring.availability_monitor_config_version SET version = 0",
        "DELETE FROM monitoring.producer_lease",
        "SELECT * FROM monitoring.website_status",
        "CREATE TEMP TABLE mine (x int)",
    ),
    Role.CONSUMER: (
        "SELECT * FROM monitoring.availability_monitor_config",
        "UPDATE monitoring.availability_monitor_config SET amc_active = false",
        "INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES ('http://x/')",
        "SELECT * FROM monitoring.producer_lease",
        (
            "INSERT INTO monitoring.availability_result_default (target_id, scheduled_at, location, status, "
            "producer_id) VALUES (1, now(), 'x', 'up', 1)"
        ),
        "SELECT * FROM monitoring.availability_dirty_hour",
    ),
    Role.ALERT: (
        "SELECT amc_headers FROM monitoring.availability_monitor_config",
        "SELECT * FROM monitoring.availability_result",
        "SELECT * FROM monitoring.producer_lease",
        "DELETE FROM monitoring.alert_transition",
        "DELETE FROM monitoring.alert_notification",
        "INSERT INTO monitoring.maintenance_window (begins_at, ends_at) VALUES (now(), now() + interval '1h')",
        "CREATE TEMP TABLE mine (x int)",
    ),
    Role.STATUS: (
        "SELECT amc_headers FROM monitoring.availability_monitor_config",
        "SELECT * FROM monitoring.availability_result",
        "SELECT * FROM monitoring.status_write",
        "INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES ('http://x/')",
        "INSERT INTO monitoring.maintenance_window (begins_at, ends_at) VALUES (now(), now() + interval '1h')",
        "INSERT INTO monitoring.alert_acknowledgement (alert_id) VALUES ('x')",
        "UPDATE monitoring.status_logout SET who = 'x'",
        "DELETE FROM monitoring.status_logout",
        "UPDATE monitoring.incident_note SET public = true",
        "UPDATE monitoring.status_token SET scopes = '{read,write}'",
        "CREATE TEMP TABLE mine (x int)",
    ),
    Role.STATUS_WRITER: (
        "SELECT * FROM monitoring.availability_result",
        "SELECT * FROM monitoring.status_token",
        "UPDATE monitoring.status_write SET token = 'x'",
        "DELETE FROM monitoring.status_write",
        "DELETE FROM monitoring.incident_note",
        "DELETE FROM monitoring.maintenance_window",
        "UPDATE monitoring.alert_transition SET noticed = true",
        "UPDATE monitoring.availability_monitor_config_history SET changed_by = 'x'",
        "TRUNCATE monitoring.availability_monitor_config",
        "CREATE TEMP TABLE mine (x int)",
    ),
    Role.READER: (
        "UPDATE monitoring.alert_transition SET noticed = true",
        "SELECT * FROM monitoring.alert_target",
        "SELECT * FROM monitoring.alert_snapshot",
        "SELECT * FROM monitoring.alert_told",
        "SELECT * FROM monitoring.availability_result",
        "SELECT amc_url FROM monitoring.availability_monitor_config",
        "SELECT amc_headers FROM monitoring.availability_monitor_config",
        "SELECT * FROM monitoring.producer_lease",
        "SELECT * FROM monitoring.availability_hourly",
        "SELECT * FROM monitoring.schema_version",
        "INSERT INTO monitoring.availability_dirty_hour VALUES (now())",
        "CREATE TEMP TABLE mine (x int)",
    ),
}


def test_what_a_part_must_not_do_fails(config: Config) -> None:
    """Each of these statements is refused for want of a right, not for any other reason."""
    for role, statements in FORBIDDEN.items():
        with connect(account(config, role)) as connection:
            deleting = () if role is Role.STATUS_WRITER else ("DELETE FROM monitoring.availability_monitor_config",)
            for statement in (*EVERYBODY, *deleting, *statements):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)


def test_the_administrator_owns_all_and_is_no_superuser(config: Config, server: Server) -> None:
    """Nor may it make roles or databases, or read what the server's files hold."""
    user = config.roles.user(Role.ADMINISTRATOR) or OWNER
    with onlooker(server, config) as connection:
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class "
            "WHERE relnamespace = 'monitoring'::regnamespace UNION "
            "SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'monitoring'::regnamespace UNION "
            "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'monitoring'"
        ).fetchall()
        assert owners == [(user,)]
        powerful = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) "
            "AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls OR rolreplication)",
            ([config.roles.user(role) for role in Role],),
        ).fetchall()
        assert powerful == []
    if administrator := config.database_as(Role.ADMINISTRATOR):
        with connect(administrator) as connection:
            for statement in ("CREATE ROLE mine", "CREATE DATABASE mine", "SELECT pg_read_file('/etc/passwd')"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)


def test_a_second_run_changes_no_right_and_takes_back_what_is_too_much(config: Config, server: Server) -> None:
    """Whatever was granted by hand on the schema's tables is gone after it, and what lacks is there."""
    assert not [line for line in create_roles(config) if "rights" in line or "handed over" in line]
    user = config.roles.user(Role.READER)
    with onlooker(server, config) as connection:
        connection.execute(f'GRANT SELECT, DELETE ON monitoring.availability_monitor_config TO "{user}"')
        connection.execute(f'REVOKE SELECT ON monitoring.website_status FROM "{user}"')
    assert list(create_schema(owned(config), TODAY, config.roles))[-1] == (
        f"role {user}: 3 rights in schema monitoring changed"
    )
    with connect(account(config, Role.READER)) as reader:
        reader.execute("SELECT * FROM monitoring.website_status")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT * FROM monitoring.availability_monitor_config")


def test_a_reader_s_statements_are_not_compiled(server: Server, tmp_path: Path) -> None:
    """This holds also in a database that was there before, whose own settings stay as they are."""
    config = configured(server, tmp_path)
    with look(server.superuser, "postgres") as connection:
        name = sql.Identifier(config.database.database)
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, sql.Identifier(OWNER)))
    set_up(config)
    with connect(account(config, Role.READER)) as reader:
        assert reader.execute("SHOW jit").fetchone() == ("off",)
    with connect(config.database) as owner:
        assert owner.execute("SHOW jit").fetchone() == ("on",)


def test_an_installation_without_accounts_gets_them_later(server: Server, tmp_path: Path) -> None:
    """What the owner has made until then is handed over, rows and all, and goes on."""
    config = configured(server, tmp_path)
    create_database(config.database)
    list(create_schema(config.database, TODAY))
    PostgresWriter(config.database).write([make_result(target_id=1)])
    said = list(create_roles(config))
    assert any("handed over to administrator" in line for line in said)
    said = list(create_schema(owned(config), TODAY + dt.timedelta(days=3), config.roles))
    assert said[0].endswith("already")
    assert PostgresWriter(account(config, Role.CONSUMER)).write([make_result(target_id=1)]).duplicates == 1


@pytest.mark.parametrize("server", ["PostgreSQL with passwords"], indirect=True)
def test_a_password_is_what_the_file_says_now_and_is_never_sent(server: Server, tmp_path: Path) -> None:
    """A changed file counts after the next run; the server has a verifier, from which no password can be read."""
    config = configured(server, tmp_path)
    set_up(config)
    connect(account(config, Role.PRODUCER)).close()
    first = account(config, Role.PRODUCER)
    assert first.password
    before = attrs.evolve(first, password=Secret(first.password.reveal(), "test"))
    (tmp_path / Role.PRODUCER).write_text("ein anderes, längeres pässword")
    list(create_roles(config))
    connect(account(config, Role.PRODUCER)).close()
    connect(first).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(before)
    with onlooker(server, config) as connection:
        for role in Role:
            ((verifier,),) = connection.execute(
                "SELECT rolpassword FROM pg_authid WHERE rolname = %s", (config.roles.user(role),)
            ).fetchall()
            assert verifier.startswith("SCRAM-SHA-256$4096:")


def test_an_account_that_is_somebody_else_is_refused(server: Server, tmp_path: Path) -> None:
    """The owner itself, or a superuser: one plain line, and nothing is changed."""
    config = configured(server, tmp_path)
    create_database(config.database)
    for user, why in ((OWNER, "give each role a user of its own"), ("postgres", "is a superuser: name another user")):
        wrong = attrs.evolve(config, roles=attrs.evolve(config.roles, reader_user=user))
        with pytest.raises(StopError, match=why):
            list(create_roles(wrong))
    with onlooker(server, config) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_roles WHERE rolname = %s", (config.roles.user(Role.PRODUCER),)
        ).fetchone() == (0,)
