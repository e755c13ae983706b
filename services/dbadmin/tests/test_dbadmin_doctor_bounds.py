"""The doctor's limits, on servers that no test starts: an old PostgreSQL, topics without leaders, a long lag."""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException

from dbadmin.doctor import certificates, consumers, load, schema
from dbadmin.doctor.clocks import judge
from dbadmin.doctor.cluster import when_started
from dbadmin.doctor.consumers import check_alert_lag, check_lag
from dbadmin.doctor.findings import Level
from dbadmin.doctor.postgres import check_version
from dbadmin.doctor.schema import check_default_partition, check_partitions
from dbadmin.doctor.topics import check_settings, check_topic
from dbadmin.history import mending, partitions
from dbadmin.sizing.planning import Load
from monitoring_core.config import Config, load_config
from monitoring_core.config.values import Secret
from monitoring_core.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text("kafka: {bootstrap_servers: 'k:1', topic_name: results}\ndatabase: {host: h, user: u}\n")
    return load_config(path, environ={})


@pytest.mark.parametrize(
    ("ahead_s", "level"),
    [(0.5, Level.PASS), (-0.5, Level.PASS), (0.51, Level.WARN), (5.0, Level.WARN), (5.01, Level.FAIL)],
)
def test_a_clock_may_be_off_by_half_a_second(ahead_s: float, level: Level) -> None:
    """A larger difference is a warning; more than five seconds are a failure."""
    assert judge("clock", ahead_s, 0.0).level is level


@pytest.mark.parametrize(
    ("version", "line"),
    [
        (130_022, "fail  PostgreSQL's version: is 13 → use 14 or later"),
        (140_000, "pass  PostgreSQL's version: 14.0"),
        (180_003, "pass  PostgreSQL's version: 18.3"),
    ],
)
def test_a_version_that_is_too_old_is_told(version: int, line: str) -> None:
    """The schema needs what PostgreSQL 14 has."""
    connection: Any = SimpleNamespace(info=SimpleNamespace(server_version=version))
    assert str(check_version(connection)) == line


@pytest.mark.parametrize(("days", "level"), [(21, Level.PASS), (20, Level.WARN)])
def test_a_certificate_is_told_of_three_weeks_before_its_end(days: int, level: Level, config: Config) -> None:
    """Long enough to have it renewed."""
    now = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    end = now + dt.timedelta(days=days)
    leaf = trustme.CA().issue_cert("a.example", not_before=now - dt.timedelta(days=90), not_after=end)
    secret = Secret(leaf.cert_chain_pems[0].bytes().decode(), "test")
    (found,) = certificates._check_file("database.ca_certificate", secret, now)
    assert found.level is level


@pytest.mark.parametrize(
    ("ahead", "line"),
    [
        (0, "fail  partitions ahead: today or tomorrow has none: today → "),
        (1, "fail  partitions ahead: today or tomorrow has none: tomorrow → "),
        (2, "warn  partitions ahead: up to 2026-01-02, 13 days are missing → "),
        (7, "warn  partitions ahead: up to 2026-01-07, 8 days are missing → "),
        (8, "pass  partitions ahead: up to 2026-01-08"),
        (15, "pass  partitions ahead: up to 2026-01-15"),
    ],
)
def test_half_of_the_days_ahead_may_lack_a_partition(
    ahead: int, line: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`maintain` did not run for a while then, which is a warning; without tomorrow's it is a failure."""
    today = dt.date(2026, 1, 1)
    made = [today + dt.timedelta(days=number) for number in range(ahead)]
    monkeypatch.setattr(partitions, "is_partitioned", lambda *_: True)
    monkeypatch.setattr(partitions, "attached_days", lambda *_: made)
    connection: Any = None
    assert str(check_partitions(connection, config.database, FakeClock())).startswith(line)


@pytest.mark.parametrize(("rows", "lines"), [(0, []), (1, ["1"]), (999, ["999"]), (1000, ["1,000 or more"])])
def test_rows_without_a_partition_are_counted_up_to_a_thousand(
    rows: int, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To count millions would take the doctor's time."""
    monkeypatch.setattr(partitions, "is_partitioned", lambda *_: True)
    monkeypatch.setattr(mending, "half_detached", lambda *_: [])
    monkeypatch.setattr(mending, "default_partition", lambda *_: "a table")
    monkeypatch.setattr(schema, "one_row", lambda *_: (rows,))
    connection: Any = None
    assert [str(found) for found in check_default_partition(connection, "monitoring")] == [
        f"warn  default partition: holds {count} rows of days without a partition → run dbadmin maintain"
        for count in lines
    ]


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        (66_000, "pass  connections to PostgreSQL: 77 are needed of 97"),
        (67_000, "warn  connections to PostgreSQL: 78 are needed of 97 → "),
        (86_000, "warn  connections to PostgreSQL: 97 are needed of 97 → "),
        (87_000, "fail  connections to PostgreSQL: 98 are needed and 97 allowed → "),
    ],
)
def test_four_fifths_of_the_connections_may_be_needed(
    targets: int, line: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above that there is a warning, before no connection is left."""
    monkeypatch.setattr(load, "loads_in", lambda *_: [Load(targets, 60)])
    monkeypatch.setattr(load, "max_connections_in", lambda _: 97)
    connection: Any = None
    assert str(load.check_connections(connection, config)).startswith(line)


def topic(*partitions: tuple[int, Sequence[int], Sequence[int]], name: str = "results") -> Any:
    """A topic as Kafka's client describes it: of each partition the leader, the replicas and those up to date."""
    parts = {
        number: SimpleNamespace(leader=leader, replicas=replicas, isrs=isrs)
        for number, (leader, replicas, isrs) in enumerate(partitions)
    }
    return SimpleNamespace(topic=name, partitions=parts)


FINE = (1, [1, 2], [1, 2])


@pytest.mark.parametrize(
    ("partitions", "brokers", "lines"),
    [
        ([FINE] * 6, 2, ["pass  topic results: 6 partitions, replication 2"]),
        (
            [FINE] * 5 + [(-1, [1, 2], [])],
            2,
            ["fail  topic results: 1 of 6 partitions have no leader → start the brokers that are away"],
        ),
        (
            [FINE] * 4 + [(1, [1, 2], [1])] * 2,
            2,
            ["warn  topic results: 2 of 6 partitions lack a replica that is up to date → see to the brokers"],
        ),
        ([(1, [1], [1])] * 6, 1, ["pass  topic results: 6 partitions, replication 1"]),
        (
            [(1, [1], [1])] * 6,
            2,
            [
                (
                    "warn  topic results: has one replica: a broker that is lost takes results with it → reassign its "
                    "partitions"
                )
            ],
        ),
        ([FINE] * 5, 2, ["fail  topic results: has 5 partitions, 6 are configured → run dbadmin create-topics"]),
    ],
)
def test_what_a_topic_lacks_is_told(partitions: Any, brokers: int, lines: list[str], config: Config) -> None:
    """Leaders, replicas and partitions."""
    assert [str(found) for found in check_topic(topic(*partitions), config, brokers)] == lines


def answer(value: object) -> Any:
    """The future in which Kafka's client gives an answer."""
    return SimpleNamespace(result=lambda _: value)


@pytest.mark.parametrize(
    ("retention", "size", "line"),
    [
        ("86400000", "-1", "pass  settings of topic results: retention 1 days, messages up to 65536 bytes"),
        ("-1", "-1", "pass  settings of topic results: retention without end, messages up to 65536 bytes"),
        (
            "86400000",
            "1073741824",
            (
                "pass  settings of topic results: retention 1 days or 1073741824 bytes a partition, messages up to "
                "65536 bytes"
            ),
        ),
        (
            "86400000",
            "1073741823",
            (
                "warn  settings of topic results: retention.bytes 1073741823: what consumers have not stored when a "
                "partition is larger is lost → set it to -1, retention.ms is enough"
            ),
        ),
        (
            "86399999",
            "-1",
            (
                "warn  settings of topic results: retention.ms 86399999: what consumers have not stored by then is "
                "lost → set it to 604800000"
            ),
        ),
    ],
)
def test_messages_should_be_kept_for_a_day(retention: str, size: str, line: str, config: Config) -> None:
    """An outage of a day is survived; how many messages that is, a size does not say."""
    values = {"retention.ms": retention, "retention.bytes": size, "cleanup.policy": "delete"}
    settings = {name: SimpleNamespace(value=value) for name, value in values.items()}
    admin = SimpleNamespace(describe_configs=lambda asked, **_: {asked[0]: answer(settings)})
    cluster: Any = SimpleNamespace(admin=admin, config=config, timeout_s=1.0)
    assert [str(found) for found in check_settings(cluster, topic(FINE))] == [line]


@pytest.mark.parametrize(
    ("members", "waiting", "line"),
    [
        (2, [6_000, 4_000], "pass  group monitoring-consumer: 2 consumers, 10,000 messages wait, 6,000 of them in"),
        (
            2,
            [4_000, 6_001],
            "warn  group monitoring-consumer: 10,001 messages wait, 6,001 of them in partition 1 for 2",
        ),
        (0, [0, 0], "warn  group monitoring-consumer: no consumer runs, 0 messages wait → start consumer-svc run"),
        (
            None,
            [1, 0],
            "pass  group monitoring-consumer: consumers, whose number this broker does not tell, 1 message waits",
        ),
    ],
)
def test_ten_thousand_messages_may_wait(
    members: int | None, waiting: list[int], line: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer stores them in a second; more say that consumers are too few."""
    monkeypatch.setattr(consumers, "_members", lambda *_: members)
    monkeypatch.setattr(consumers, "committed", lambda *_: {})
    monkeypatch.setattr(consumers, "offsets", offsets_by_age({0: [0, 0], -2: [0, 0], -1: waiting}))
    cluster: Any = SimpleNamespace(config=config)
    (found,) = check_lag(cluster, len(waiting))
    assert str(found).startswith(line)


def offsets_by_age(known: dict[int, list[int]]) -> Callable[[object, int, Any], dict[int, int]]:
    """Kafka's offsets: by -1 the ends, by -2 the begins, and by an age in minutes the first messages that are newer."""

    def offsets(_: object, count: int, spec: Any) -> dict[int, int]:
        age = spec._value if spec._value < 0 else round((time.time() * 1000 - spec._value) / 60_000)
        return dict(enumerate(known[age if age in known else 0][:count]))

    return offsets


FIVE = "5 messages wait, 3 of them in partition 0"
MEND_LATE = "→ see in /readyz and the log of consumer-svc what keeps it, or start more, up to one a partition"


@pytest.mark.parametrize(
    ("members", "newer", "line"),
    [
        (1, {5: [7, 0]}, f"pass  group monitoring-consumer: 1 consumer, {FIVE}"),
        (
            1,
            {5: [8, 0], 60: [7, 0]},
            f"warn  group monitoring-consumer: {FIVE}, the oldest for more than 5 min for 1 consumer {MEND_LATE}",
        ),
        (
            None,
            {5: [-1, -1], 60: [7, 1]},
            (
                f"fail  group monitoring-consumer: {FIVE}, the oldest for more than 60 min for consumers, whose number "
                f"this broker does not tell {MEND_LATE}"
            ),
        ),
        (
            0,
            {5: [-1, -1], 60: [8, 0]},
            (
                f"fail  group monitoring-consumer: no consumer runs, {FIVE}, the oldest for more than 60 min → start "
                "consumer-svc run"
            ),
        ),
    ],
)
def test_messages_wait_five_minutes_to_be_stored(
    members: int | None, newer: dict[int, list[int]], line: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few they are: a consumer that stores nothing has few messages to store where there are few websites."""
    monkeypatch.setattr(consumers, "_members", lambda *_: members)
    monkeypatch.setattr(consumers, "committed", lambda *_: {0: 7})
    monkeypatch.setattr(consumers, "offsets", offsets_by_age({0: [0, 0], -2: [0, 0], -1: [10, 2]} | newer))
    cluster: Any = SimpleNamespace(config=config)
    (found,) = check_lag(cluster, 2)
    assert str(found) == line


@pytest.mark.parametrize(
    ("members", "committed", "newer", "line"),
    [
        (0, {}, [0, 0], "pass  group monitoring-consumer-alerts: alert-svc has not run in it"),
        (0, {0: 7}, [5, 0], "warn  group monitoring-consumer-alerts: no alert-svc runs, 5 messages wait, 3 of them in"),
        (1, {0: 7}, [7, 0], "pass  group monitoring-consumer-alerts: 1 of alert-svc, 5 messages wait, 3 of them in"),
        (
            None,
            {0: 7},
            [7, 0],
            "pass  group monitoring-consumer-alerts: alert-svc, whose number this broker does not tell",
        ),
        (1, {0: 7, 1: 2}, [-1, 2], "warn  group monitoring-consumer-alerts: 3 messages wait, 3 of them in partition 0"),
        (1, {0: 7}, [8, 0], "warn  group monitoring-consumer-alerts: 5 messages wait, 3 of them in partition 0, the"),
    ],
)
def test_messages_wait_five_minutes_for_alerts(
    members: int | None,
    committed: dict[int, int],
    newer: list[int],
    line: str,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Later, people are told late. Whoever has no alerts is not warned of it."""
    partitions = {"newer": newer, "ends": [10, 2], "begins": [0, 0]}

    def offsets(_: object, count: int, spec: Any) -> dict[int, int]:
        which = {-1: "ends", -2: "begins"}.get(spec._value, "newer")
        return dict(enumerate(partitions[which][:count]))

    monkeypatch.setattr(consumers, "_members", lambda *_: members)
    monkeypatch.setattr(consumers, "committed", lambda *_: committed)
    monkeypatch.setattr(consumers, "offsets", offsets)
    cluster: Any = SimpleNamespace(config=config)
    (found,) = check_alert_lag(cluster, 2)
    assert str(found).startswith(line)


def test_a_coordinator_that_starts_is_asked_again() -> None:
    """Up to the timeout of a request; any other error is told at once."""
    starting, forbidden = (
        KafkaException(KafkaError(code)) for code in (KafkaError.NOT_COORDINATOR, KafkaError.GROUP_AUTHORIZATION_FAILED)
    )
    answers: list[KafkaException | int] = [starting, starting, 7, forbidden]

    def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, KafkaException):
            raise answer
        return answer

    patient: Any = SimpleNamespace(timeout_s=60.0)
    assert when_started(patient, ask) == 7
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        when_started(patient, ask)
    answers += [starting]
    hasty: Any = SimpleNamespace(timeout_s=-1.0)
    with pytest.raises(KafkaException, match="NOT_COORDINATOR"):
        when_started(hasty, ask)


@pytest.mark.parametrize(
    ("state", "members", "found"),
    [
        (ConsumerGroupState.STABLE, ["a", "b"], 2),
        (ConsumerGroupState.EMPTY, [], 0),
        (ConsumerGroupState.DEAD, [], 0),
        (ConsumerGroupState.STABLE, [], None),
    ],
)
def test_a_stable_group_has_members_whether_or_not_the_broker_tells_them(
    state: ConsumerGroupState, members: list[str], found: int | None
) -> None:
    """The embedded broker does not: that nobody runs would be wrong."""
    told: Future[Any] = Future()
    told.set_result(SimpleNamespace(state=state, members=members))
    admin = SimpleNamespace(describe_consumer_groups=lambda groups, **_: {groups[0]: told})
    cluster: Any = SimpleNamespace(admin=admin, timeout_s=1.0)
    assert consumers._members(cluster, "monitoring-consumer") == found
