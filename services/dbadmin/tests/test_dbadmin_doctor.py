"""The doctor on set-ups that are really broken: each fault has its exact line."""

from __future__ import annotations

import datetime as dt
import socket
from typing import TYPE_CHECKING

import attrs
import pytest
import trustme
from click.testing import CliRunner

from dbadmin.cli import main
from dbadmin.doctor import kafka, postgres
from dbadmin.doctor.certificates import check_own
from dbadmin.doctor.clocks import judge
from dbadmin.doctor.examine import examine
from dbadmin.doctor.findings import Finding, Level
from dbadmin.history.maintain import maintain
from dbadmin.install.revisions import newest_revision
from dbadmin.install.roles import create_roles
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_alerting.decider import Decider
from monitoring_alerting.memory import parts
from monitoring_alerting.policies import Kind, MissedPolicy, Policies
from monitoring_core.clock import SystemClock
from monitoring_core.config import Config, Role, load_config
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = "monitoring.availability_monitor_config"


def words(findings: Iterator[Finding] | list[Finding], *levels: Level) -> list[str]:
    return [str(finding) for finding in findings if not levels or finding.level in levels]


@pytest.fixture
def installed(config: Config, config_file: Path) -> Iterator[Config]:
    """A complete database with accounts for all parts, named after this database."""
    name = config.database.database
    text = "".join(f"  {role}_user: '{name}-{role}'\n" for role in Role)
    config_file.write_text(config_file.read_text() + "roles:\n" + text)
    config = load_config(config_file, environ={})
    create_database(config.database)
    now = dt.datetime.now(dt.UTC)
    list(create_schema(config.database, now.date(), config.roles))
    list(create_roles(config))
    list(maintain(config.database, now))
    yield config
    with connect(config.database, "test", database="postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        for role in Role:
            connection.execute(f'DROP ROLE IF EXISTS "{name}-{role}"')


class Ahead(SystemClock):
    """A clock of this machine that is ahead by a number of seconds, or behind by a negative one."""

    def __init__(self, seconds: float) -> None:
        self._ms = int(1000 * seconds)

    def now_ms(self) -> int:
        return super().now_ms() + self._ms


def server(config: Config) -> list[Finding]:
    return list(postgres.check_server(config, config.database, SystemClock()))


@pytest.mark.integration_test
def test_a_complete_database_passes_everything(installed: Config) -> None:
    """Every account can connect and has its rights; nothing is warned of."""
    findings = server(installed)
    assert words(findings, Level.WARN, Level.FAIL) == []
    subjects = [finding.subject for finding in findings]
    assert subjects == [
        "PostgreSQL's version",
        "encoding of the database",
        "clock of PostgreSQL",
        "way to PostgreSQL",
        "schema monitoring",
        "partitions ahead",
        "retention",
        "maintain",
        "maintenance windows",
        "long transactions",
        "rights of the administrator",
        "rights of the producer",
        "rights of the consumer",
        "rights of the alert",
        "rights of the status",
        "rights of the status_writer",
        "rights of the reader",
        "connections to PostgreSQL",
        "producers in default",
        "certificates of websites",
        "notifications",
        "channels of alerts",
        "events of alerts",
        "targets with a policy",
    ]
    for role in Role:
        database = installed.database_as(role)
        assert database
        login, *trial = postgres.check_login(role, database, [role])
        count = 1 if role in (Role.STATUS, Role.STATUS_WRITER, Role.READER) else 2  # no trial
        assert [login.level, *(finding.level for finding in trial)] == [Level.PASS] * count


TRANSITION = (
    "INSERT INTO monitoring.alert_transition (transition_id, alert_id, target_id, policy, kind, severity, state, "
    "before, at, since, locations, evidence, url, stored_at, noticed, published) VALUES ('t', 'a', 1, 'p', 'down', "
    "'info', '{state}', 'ok', now(), now(), '{{{{}}}}', '[]', '', '2024-05-06 07:08Z', {noticed}, {published})"
)
FAULTS: dict[str, tuple[str, str]] = {
    "schema missing": (
        "DROP SCHEMA monitoring CASCADE",
        "fail  schema monitoring: is missing → run dbadmin create-schema",
    ),
    "schema too old": (
        "UPDATE monitoring.schema_version SET version_num = '0001'",
        "fail  schema monitoring: is at revision 0001, older than {newest} → run dbadmin create-schema",
    ),
    "schema too new": (
        "UPDATE monitoring.schema_version SET version_num = '9999'",
        "fail  schema monitoring: is at revision 9999, which this dbadmin does not know → use a newer dbadmin",
    ),
    "database not in UTF8": (
        "UPDATE pg_database SET encoding = pg_char_to_encoding('LATIN1') WHERE datname = current_database()",
        (
            "fail  encoding of the database: is LATIN1, in which not every result can be stored → name another "
            "database in database.database, and dbadmin setup makes it in UTF8"
        ),
    ),
    "no default partition": (
        "DROP TABLE monitoring.availability_result_default",
        (
            "fail  default partition: is missing: results of days without a partition cannot be stored → run dbadmin "
            "maintain"
        ),
    ),
    "certificates end": (
        (
            f"INSERT INTO {T} (amc_id, amc_url, amc_active) OVERRIDING SYSTEM VALUE "
            "SELECT i, 'http://' || i, i < 4 FROM generate_series(1, 4) i; "
            "INSERT INTO monitoring.producer_lease VALUES ('default', 1, 'x', now() + interval '1 h', now()); "
            "INSERT INTO monitoring.availability_state "
            "(target_id, scheduled_at, certificate_expires_at, location, status) "
            "SELECT i, now(), '2024-05-06 07:08Z'::timestamptz + (i - 1) * interval '1 h', 'default', 'up' "
            "FROM generate_series(1, 2) i UNION ALL SELECT i, now(), now() + interval '30 days', 'default', 'up' "
            "FROM generate_series(3, 3) i UNION ALL SELECT 4, now(), now(), 'default', 'up'"
        ),
        (
            "warn  certificates of websites: 2 of them end within 21 days or have ended, the first that of target 1, "
            "on 2024-05-06 07:08 UTC → have them renewed"
        ),
    ),
    "no partition for today": (
        "DROP TABLE monitoring.availability_result_{today:%Y%m%d}",
        "fail  partitions ahead: today or tomorrow has none: today → run dbadmin maintain every few minutes",
    ),
    "few partitions ahead": (
        (
            "DO $$ DECLARE t text; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relname > 'availability_result_"
            "{third:%Y%m%d}' AND relname ~ '^availability_result_[0-9]{{8}}$' LOOP "
            "EXECUTE 'DROP TABLE monitoring.' || t; END LOOP; END $$"
        ),
        ("warn  partitions ahead: up to {third}, 11 days are missing → run dbadmin maintain every few minutes"),
    ),
    "rows without a partition": (
        (
            "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, producer_id) "
            "VALUES (1, '2001-01-01Z', 'default', 'up', 1)"
        ),
        "warn  default partition: holds 1 rows of days without a partition → run dbadmin maintain",
    ),
    "producer lacks a right": (
        'REVOKE UPDATE ON monitoring.producer_lease FROM "{name}-producer"',
        "fail  rights of the producer: {name}-producer lacks UPDATE on producer_lease → run dbadmin create-roles",
    ),
    "consumer may not use the schema": (
        'REVOKE USAGE ON SCHEMA monitoring FROM "{name}-consumer"',
        "fail  rights of the consumer: {name}-consumer lacks USAGE on schema monitoring → run dbadmin create-roles",
    ),
    "reader is gone": (
        'DROP OWNED BY "{name}-reader"; DROP ROLE "{name}-reader"',
        "fail  rights of the reader: there is no account {name}-reader → run dbadmin create-roles",
    ),
    "administrator does not own the schema": (
        "ALTER SCHEMA monitoring OWNER TO postgres",
        (
            "fail  rights of the administrator: {name}-administrator lacks the ownership of schema monitoring "
            "→ run dbadmin create-roles"
        ),
    ),
    "connection limit too small": (
        f"INSERT INTO {T} (amc_url) SELECT 'http://' || i FROM generate_series(1, 100000) i",
        (
            "fail  connections to PostgreSQL: 111 are needed and 97 allowed → allow 111, or raise "
            "monitor.websites_per_container for fewer producers"
        ),
    ),
    "connections become few": (
        f"INSERT INTO {T} (amc_url) SELECT 'http://' || i FROM generate_series(1, 80000) i",
        (
            "warn  connections to PostgreSQL: 91 are needed of 97 → allow 91, or raise "
            "monitor.websites_per_container for fewer producers"
        ),
    ),
    "a notification is stuck": (
        (
            "INSERT INTO monitoring.alert_notification (notification_id, channel, kind, content, transitions, "
            "attempts, made_at) VALUES ('late', 'ops', 'problem', '{{}}', '{{}}', 4, '2024-05-06 07:08Z'), "
            "('new', 'ops', 'problem', '{{}}', '{{}}', 0, now())"
        ),
        (
            "fail  notifications: 2 messages not sent, the oldest since 2024-05-06 07:08 UTC → see that alert-svc "
            "runs, and what its channels answer"
        ),
    ),
    "a notification was given up": (
        (
            "INSERT INTO monitoring.alert_notification (notification_id, channel, kind, content, transitions, state, "
            "done_at) VALUES ('new', 'ops', 'problem', '{{}}', '{{}}', 'given_up', now()), "
            "('old', 'ops', 'problem', '{{}}', '{{}}', 'given_up', now() - interval '2 days')"
        ),
        (
            "warn  notifications: none wait; 1 message given up since yesterday → mend the channel; alert-svc list "
            "shows what was not told"
        ),
    ),
    "a transition is not told": (
        TRANSITION.format(state="firing", noticed="false", published="true"),
        (
            "fail  notifications: none wait; 1 transition not told, the oldest since 2024-05-06 07:08 UTC → see that "
            "alert-svc runs, and what its channels answer"
        ),
    ),
    "an event is not published": (
        TRANSITION.format(state="firing", noticed="true", published="false"),
        (
            "fail  events of alerts: 1 event not published, the oldest since 2024-05-06 07:08 UTC → see that alert-svc "
            "runs and may write into the topic of alerts"
        ),
    ),
    "a channel fails": (
        (
            "INSERT INTO monitoring.alert_channel (channel, failures, failing_since, answer) "
            "VALUES ('ops', 3, '2024-05-06 07:08Z', 'a secret'), ('mail', 0, NULL, NULL)"
        ),
        (
            "warn  channels of alerts: failing: ops since 2024-05-06 07:08 UTC (3 attempts) → try alert-svc "
            "test-channel with its name"
        ),
    ),
    "no producers": (
        (
            f"INSERT INTO {T} (amc_url) SELECT 'http://' || i FROM generate_series(1, 2001) i; INSERT INTO "
            "monitoring.producer_lease VALUES ('default', 2, 'x', now() + interval '1 h', now()), "
            "('elsewhere', 1, 'x', now() + interval '1 h', now()), ('default', 3, 'x', now() - interval '1 h', now())"
        ),
        (
            "fail  producers in default: 2 of 3 IDs have none: 1, 3; nobody watches 1001 of 2001 active targets → run "
            "producer-svc run --id for each"
        ),
    ),
}


@pytest.mark.integration_test
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_database_is_told_with_what_mends_it(installed: Config, fault: str) -> None:
    """One line for it, and no other complaint."""
    statement, line = FAULTS[fault]
    today = dt.datetime.now(dt.UTC).date()
    names: dict[str, object] = {"name": installed.database.database, "newest": newest_revision()}
    names |= {"today": today, "third": today + dt.timedelta(days=3)}
    with connect(installed.database, "test", autocommit=True) as connection:
        connection.execute(statement.format(**names))
    complaints = words(server(installed), Level.WARN, Level.FAIL)
    assert line.format(**names) in complaints
    # Where targets were added, they lack their producers too.
    assert [c for c in complaints if not c.startswith("fail  producers")] in ([], [line.format(**names)])


@pytest.mark.integration_test
def test_targets_that_no_policy_matches_are_counted(installed: Config) -> None:
    """By the policies that alert-svc last went by; inactive targets need none."""
    policies = Policies((MissedPolicy(name="shop", kind=Kind.MISSED, match={"team": "shop"}),))
    (head,) = parts(policies, Decider(policies, ()).memory)
    with connect(installed.database, "test", autocommit=True) as connection:
        connection.execute("INSERT INTO monitoring.alert_snapshot VALUES ('results', 0, 0, %s)", (head,))
        connection.execute(
            f"INSERT INTO {T} (amc_id, amc_url, amc_active, amc_labels) OVERRIDING SYSTEM VALUE VALUES "
            "(7, 'http://7', true, NULL), (8, 'http://8', true, '{\"team\": \"shop\"}'), "
            "(9, 'http://9', true, '{\"team\": \"hr\"}'), (1, 'http://1', false, NULL)"
        )
    mend = " → add a policy to alerts.yaml that matches their labels"
    line = f"warn  targets with a policy: 2 of 3 active targets have none, the first is 7{mend}"
    assert line in words(server(installed))
    with connect(installed.database, "test", autocommit=True) as connection:
        connection.execute(f"UPDATE {T} SET amc_active = false WHERE amc_id <> 8")
    assert "pass  targets with a policy: all of 1 active target" in words(server(installed))


@pytest.mark.integration_test
def test_a_missing_database_a_wrong_user_and_no_server_are_told_apart(installed: Config) -> None:
    """Each says what mends it."""
    missing = attrs.evolve(installed.database, database="nowhere")
    (line,) = words(postgres.check_login("database.user", missing))
    assert line.endswith(
        'refuses the connection: database "nowhere" does not exist → correct database.user and password, run dbadmin '
        "setup if the database is missing, or see to pg_hba.conf"
    )
    away = attrs.evolve(installed.database, host="127.0.0.1", port=1)
    assert words(postgres.check_login("producer", away)) == [
        (
            "fail  PostgreSQL as producer: PostgreSQL at 127.0.0.1:1 cannot be reached: Connection refused → see "
            "that it runs, that database.host and port are right, and that nothing between blocks them; for a "
            "certificate, give database.ca_certificate its authority, and database.host the name in it"
        )
    ]


@pytest.mark.integration_test
@pytest.mark.parametrize(
    ("seconds", "line"),
    [
        (0, None),
        (-2, "warn  clock of PostgreSQL: 2.0 s ahead of this machine's → let a time service (NTP) set both clocks"),
        (60, "fail  clock of PostgreSQL: 60.0 s behind this machine's → let a time service (NTP) set both clocks"),
    ],
)
def test_a_clock_that_is_off_is_told(installed: Config, seconds: float, line: str | None) -> None:
    """By how much, and in which direction."""
    with connect(installed.database, "test") as connection:
        found = postgres.check_clock(connection, Ahead(seconds))
    assert words([found], Level.WARN, Level.FAIL) == ([line] if line else [])


def test_a_slow_network_is_not_taken_for_a_wrong_clock() -> None:
    """The time that the question and the answer may have taken is allowed for."""
    assert judge("clock", 3.0, 2.9).level is Level.PASS
    assert judge("clock", 3.0, 0.1).level is Level.WARN


BASE = """
kafka:
  bootstrap_servers: '127.0.0.1:1'
  security_protocol: SSL
  ca_certificate: {file: ca.pem}
  access_certificate: {file: service.cert}
  access_key: {file: service.key}
database: {host: 127.0.0.1, port: 1, user: u}
"""


@pytest.mark.parametrize(
    ("days", "lines"),
    [
        (400, []),
        (10, ["warn  kafka.access_certificate: expires {end}, in 9 days → renew it"]),
        (-1, ["fail  kafka.access_certificate: expired {end} → renew it"]),
    ],
)
def test_the_own_certificates_dates_are_looked_at(tmp_path: Path, days: int, lines: list[str]) -> None:
    """Valid for long, about to expire, and expired."""
    end = (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).replace(microsecond=0)
    authority = trustme.CA()
    client = authority.issue_cert("client.example", not_before=end - dt.timedelta(days=500), not_after=end)
    config = load_config(write(tmp_path, authority, client, client), environ={})
    found = words(check_own(config, dt.datetime.now(dt.UTC)), Level.WARN, Level.FAIL)
    assert found == [line.format(end=f"{end:%Y-%m-%d %H:%M} UTC") for line in lines]


def test_a_key_of_another_certificate_is_told(tmp_path: Path) -> None:
    """TLS would only say that it failed."""
    authority = trustme.CA()
    config = load_config(
        write(tmp_path, authority, authority.issue_cert("a.example"), authority.issue_cert("b.example")), environ={}
    )
    assert words(check_own(config, dt.datetime.now(dt.UTC)), Level.FAIL) == [
        "fail  kafka.access_key: belongs to another certificate than access_certificate → give both from one download"
    ]


def write(folder: Path, authority: trustme.CA, certificate: trustme.LeafCert, key: trustme.LeafCert) -> Path:
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "service.cert"))
    key.private_key_pem.write_to_path(str(folder / "service.key"))
    (folder / "config.yaml").write_text(BASE)
    return folder / "config.yaml"


def test_with_everything_down_each_thing_says_so_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 1, one line for each server, and no traceback; no server keeps another from being looked at."""
    monkeypatch.setattr(kafka, "TIMEOUT_S", 0.5)
    path = tmp_path / "config.yaml"
    path.write_text(
        "kafka: {bootstrap_servers: '127.0.0.1:1', security_protocol: SSL}\n"
        "database: {host: 127.0.0.1, port: 1, user: u}\n"
        "roles: {administrator_user: a, producer_user: p, consumer_user: c, reader_user: r}\n"
    )
    done = CliRunner().invoke(main, ["doctor", "--config", str(path)])
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "fail  PostgreSQL as database.user",
        "fail  Kafka at 127.0.0.1:1",
    ]


class NearlyOver(SystemClock):
    """A clock on which 2.5 seconds of the time for all examinations are over as soon as they have begun."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        now, self._ahead_s = super().monotonic() + self._ahead_s, 2.5
        return now


def test_a_server_that_takes_connections_and_says_nothing_does_not_hang_it(tmp_path: Path) -> None:
    """The time for all examinations together is bounded, whatever a server does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        path = tmp_path / "config.yaml"
        path.write_text(
            f"kafka: {{bootstrap_servers: '127.0.0.1:{port}'}}\ndatabase: {{host: 127.0.0.1, port: {port}, user: u}}\n"
        )
        found = words(list(examine(load_config(path, environ={}), NearlyOver(), 3.0)))
    assert found == [
        "fail  PostgreSQL as database.user: no answer within 3 s → see whether it hangs",
        "fail  Kafka: no answer within 3 s → see whether it hangs",
    ]


@pytest.mark.integration_test
def test_a_role_whose_password_is_not_there_is_told_and_the_rest_looked_at(
    installed: Config, config_file: Path, tmp_path: Path
) -> None:
    """A missing file is one line."""
    config_file.write_text(config_file.read_text() + "  producer_password: {file: /no/such/file}\n")
    found = words(list(examine(load_config(config_file, environ={}), SystemClock())), Level.FAIL)
    assert found[0] == (
        "fail  PostgreSQL as producer: the file /no/such/file cannot be read: No such file or directory → correct "
        "roles.producer_password"
    )
    assert [line for line in found[1:] if not line.startswith("fail  Kafka at 127.0.0.1:1: ")] == []
