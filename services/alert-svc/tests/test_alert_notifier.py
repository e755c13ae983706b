"""Sending: every attempt is a row, repeats have the same id, and no message is lost whatever is killed or away."""

from __future__ import annotations

import base64
import datetime as dt
import json
import threading
import time
from contextlib import contextmanager
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import structlog
from standardwebhooks import Webhook

from alert_svc.notify.channel_settings import ChannelType, WebhookChannel
from alert_svc.notify.channels.build import sender
from alert_svc.notify.channels.sender import ANSWER_S
from alert_svc.notify.deliveries import Timing
from alert_svc.notify.load import load_alerts
from alert_svc.notify.metrics import Metrics
from alert_svc.notify.notifier import Notifier
from alert_svc.notify.settings import Grouping, Notifications, Route
from monitoring_core.config import DatabaseConfig
from monitoring_core.config.values import Secret
from monitoring_runtime.postgres import connect
from monitoring_runtime.stop import Stop
from monitoring_testkit.alert_rows import store, transition
from monitoring_testkit.servers.receiver import Received, Receiver, receiver
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from monitoring_runtime.session import Session

pytestmark = pytest.mark.integration_test
KEY = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmn").decode()
AT_ONCE = Grouping(wait=dt.timedelta(), at_most=dt.timedelta())
QUICK = Timing(lease_s=2.0, first_retry_s=0.2, last_retry_s=0.5)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def webhook(name: str, url: str) -> WebhookChannel:
    return WebhookChannel(name=name, type=ChannelType.WEBHOOK, url=url, secret=Secret(KEY, "test"))


def through(*channels: WebhookChannel) -> Notifications:
    return Notifications(channels=channels, routes=(Route(channels=(channels[0].name,)),), grouping=AT_ONCE)


@contextmanager
def running(
    database: DatabaseConfig, settings: Notifications, timing: Timing = QUICK, metrics: Metrics | None = None
) -> Iterator[Notifier]:
    stop, senders = Stop(), {channel.name: sender(channel) for channel in settings.channels}
    notifier = Notifier(database, settings, senders, metrics or Metrics(), timing)
    thread = threading.Thread(target=notifier.run, args=(stop,))
    thread.start()
    try:
        yield notifier
    finally:
        stop.request()
        thread.join(40)
        assert not thread.is_alive()


def verified(request: Received) -> dict[str, Any]:
    content = Webhook(KEY).verify(request.body, dict(request.headers))
    assert isinstance(content, dict)
    return content


def waiting(connection: Session, channel: str | None = None) -> int:
    row = connection.execute(
        "SELECT (SELECT count(*) FROM monitoring.alert_notification WHERE state = 'pending' "
        "AND channel = coalesce(%s, channel)) + (SELECT count(*) FROM monitoring.alert_transition WHERE NOT noticed)",
        (channel,),
    ).fetchone()
    return int(row[0]) if row else -1


def attempts(connection: Session) -> list[tuple[str, bool, str]]:
    return connection.execute(
        "SELECT recipient, sent, answer FROM monitoring.alert_attempt ORDER BY attempt_id"
    ).fetchall()


def test_a_message_is_signed_and_its_attempt_is_a_row(
    database: DatabaseConfig, connection: Session, hook: Receiver
) -> None:
    """The receiver verifies it; the row says when, to whom, and what the receiver answered."""
    with running(database, through(webhook("ops", f"{hook.url}secret-path"))):
        store(connection, transition(1, "firing", "suspected", labels={"team": "shop"}))
        until(lambda: waiting(connection) == 0)
        store(connection, transition(1, "resolved", "recovering"))
        until(lambda: waiting(connection) == 0)
    problem, recovery = (verified(request) for request in hook.requests)
    assert (problem["type"], recovery["type"]) == ("alert.problem", "alert.recovery")
    assert problem["data"]["title"] == "[CRITICAL] https://shop1.example/ is down"
    assert problem["data"]["alerts"][0]["labels"] == {"team": "shop"}
    assert hook.requests[0].headers["webhook-id"] == problem["data"]["id"]
    assert attempts(connection) == [(f"http://127.0.0.1:{hook.port}", True, "200 ok")] * 2


def test_an_alert_is_told_soon_by_default(database: DatabaseConfig, connection: Session, hook: Receiver) -> None:
    """From its commit to the receiver, also beside others: two each second are no flood that is held."""
    settings = Notifications(channels=(webhook("ops", hook.url),), routes=(Route(channels=("ops",)),))
    with running(database, settings, Timing()):
        for number in range(30):
            store(connection, transition(number, "firing", "suspected"))
            connection.execute("SELECT pg_sleep(0.5)")
        until(lambda: waiting(connection) == 0)
    slowest = connection.execute(
        "SELECT max(p.ended_at - t.stored_at) FROM monitoring.alert_attempt p JOIN monitoring.alert_notification n "
        "USING (notification_id) JOIN monitoring.alert_transition t ON t.transition_id = ANY (n.transitions)"
    ).fetchone()
    assert slowest is not None
    # Two seconds of it are those of the group. If they were held, the first would wait for the last.
    assert slowest[0] < dt.timedelta(seconds=12)


def test_a_failure_is_repeated_with_the_same_id_and_body(
    database: DatabaseConfig, connection: Session, hook: Receiver
) -> None:
    """Until the receiver takes it; each attempt has its answer."""
    hook.status = 503
    metrics = Metrics()
    with running(database, through(webhook("ops", hook.url)), metrics=metrics):
        store(connection, transition(1, "firing", "suspected"))
        until(lambda: len(hook.requests) >= 3)
        hook.status = 204
        until(lambda: waiting(connection) == 0)
    assert len({(request.headers["webhook-id"], request.body) for request in hook.requests}) == 1
    said = [(sent, answer) for _, sent, answer in attempts(connection)]
    assert said[0] == (False, f"http://127.0.0.1:{hook.port}: answered 503 ok")
    assert [sent for sent, _ in said] == [False] * (len(said) - 1) + [True]
    failed = metrics.registry.get_sample_value(
        "alert_notification_attempts_total", {"channel": "ops", "outcome": "failed"}
    )
    assert failed == len(said) - 1


def test_an_end_is_sent_after_its_begin_whatever_attempts_fail(
    database: DatabaseConfig, connection: Session, hook: Receiver
) -> None:
    """Whoever reads the last message knows how it is. Messages about the ends of others wait for nothing."""
    with running(database, through(webhook("ops", hook.url))):
        store(connection, transition(2, "firing", "suspected"))
        until(lambda: waiting(connection) == 0)
        hook.status = 500
        store(connection, transition(1, "firing", "suspected"))
        until(lambda: len(hook.requests) > 2)
        store(connection, transition(1, "resolved", "recovering"))
        until(lambda: not unnoticed(connection))
        store(connection, transition(2, "resolved", "recovering"))
        until(lambda: (2, "alert.recovery") in told(hook))
        assert (1, "alert.recovery") not in told(hook)
        hook.status = 200
        until(lambda: waiting(connection) == 0)
    assert [kind for number, kind in told(hook) if number == 1][-2:] == ["alert.problem", "alert.recovery"]


def unnoticed(connection: Session) -> list[tuple[object, ...]]:
    return connection.execute("SELECT FROM monitoring.alert_transition WHERE NOT noticed").fetchall()


def told(hook: Receiver) -> list[tuple[int, str]]:
    """Of each request, the target of its first alert, and what it says of that."""
    said = [verified(request) for request in hook.requests]
    return [(one["data"]["alerts"][0]["target_id"], one["type"]) for one in said]


def in_seven_seconds() -> str:
    return format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=7), usegmt=True)


@pytest.mark.parametrize("says", [lambda: "6", in_seven_seconds])
def test_a_receiver_that_says_when_to_come_again_is_left_alone_until_then(
    database: DatabaseConfig, connection: Session, hook: Receiver, says: Callable[[], str]
) -> None:
    """By seconds or by a date (RFC 9110, section 10.2.3); so are the other messages of its channel."""
    began = time.monotonic()
    hook.status, hook.retry_after = 429, says()
    store(
        connection, transition(1, "firing", "suspected", labels={"team": "shop"}), transition(2, "firing", "suspected")
    )
    by_team = attrs.evolve(through(webhook("ops", hook.url)), grouping=attrs.evolve(AT_ONCE, by=("team",)))
    with running(database, by_team, Timing(first_retry_s=0.2)):
        until(lambda: attempts(connection) != [] and attempts(connection)[0][2] is not None)
        hook.status, hook.retry_after = 200, ""
        until(lambda: waiting(connection) == 0)
    assert time.monotonic() - began > 5
    assert len(hook.requests) == 3


def test_an_outage_of_postgresql_is_told_once_and_its_end_too(
    database: DatabaseConfig, connection: Session, hook: Receiver
) -> None:
    """However often it is tried meanwhile."""
    metrics = Metrics()
    with (
        structlog.testing.capture_logs() as logged,
        running(database, through(webhook("ops", hook.url)), metrics=metrics),
        connect(database, "test", database="postgres", autocommit=True) as admin,
    ):
        store(connection, transition(1, "firing", "suspected"))
        until(lambda: waiting(connection) == 0)
        admin.execute("ALTER DATABASE alerts ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%notifier'")
        until(lambda: (metrics.registry.get_sample_value("alert_notifier_outages_total") or 0) >= 5)
        admin.execute("ALTER DATABASE alerts ALLOW_CONNECTIONS true")
        store(connection, transition(1, "resolved", "recovering"))
        until(lambda: len(hook.requests) == 2)
        until(lambda: logged[-1]["event"] == "PostgreSQL is back, notifications go on")
    # The connection that is cut, and those that are refused.
    assert [line["event"] for line in logged[:-1]] == ["PostgreSQL is away, notifications wait"] * 2
    assert "not currently accepting connections" in logged[1]["error"]


def test_a_redirect_takes_nothing_elsewhere(database: DatabaseConfig, connection: Session, hook: Receiver) -> None:
    """A signature is for the receiver that was configured."""
    hook.status = 307
    with receiver() as elsewhere:
        hook.location = elsewhere.url
        with running(database, through(webhook("ops", hook.url))):
            store(connection, transition(1, "firing", "suspected"))
            until(lambda: len(hook.requests) >= 2)
        assert elsewhere.requests == []
    assert "a redirect, which is not followed" in attempts(connection)[0][2]


def test_a_channel_that_fails_is_told_through_another_one(
    database: DatabaseConfig, connection: Session, hook: Receiver
) -> None:
    """Once, with the reason; the message itself is not given up."""
    with receiver() as other:
        hook.status = 500
        with running(database, through(webhook("ops", hook.url), webhook("boss", other.url))):
            store(connection, transition(1, "firing", "suspected"))
            until(lambda: len(other.requests) == 1)
            until(lambda: len(hook.requests) >= 6)
            hook.status = 200
            until(lambda: waiting(connection) == 0)
        (told,) = (verified(request) for request in other.requests)
    assert told["type"] == "alert.channel_failing"
    assert told["data"]["note"].startswith("Notifications through the channel ops fail: http://127.0.0.1:")
    (row,) = connection.execute("SELECT failures, told_at FROM monitoring.alert_channel WHERE channel = 'ops'")
    assert row == (0, None)


def test_channels_change_while_it_runs(database: DatabaseConfig, connection: Session, hook: Receiver) -> None:
    """An open alert's end goes to those of its channels that there still are; one that is gone is no failing one."""
    metrics = Metrics()
    with receiver() as other, receiver() as third:
        hook.status = 500
        ops, boss, new = webhook("ops", hook.url), webhook("boss", other.url), webhook("new", third.url)
        both = Notifications(channels=(ops, boss), routes=(Route(channels=("ops", "boss")),), grouping=AT_ONCE)
        with running(database, both, metrics=metrics) as notifier:
            store(connection, transition(1, "firing", "suspected"))
            until(lambda: len(hook.requests) >= 2 and len(other.requests) >= 1)
            notifier.use(Notifications(channels=(boss, new), routes=(Route(channels=("new",)),), grouping=AT_ONCE))
            until(lambda: not failing(connection))
            tried = len(hook.requests)
            store(connection, transition(1, "resolved", "recovering"), transition(2, "firing", "suspected"))
            until(lambda: waiting(connection, "boss") + waiting(connection, "new") == 0)
        told = [[verified(request)["type"] for request in one.requests] for one in (other, third)]
        assert [kind for kind in told[0] if kind != "alert.channel_failing"] == ["alert.problem", "alert.recovery"]
        assert told[1] == ["alert.problem"]
        # One attempt may have run when the channel was taken out.
        assert len(hook.requests) <= tried + 1
    assert waiting(connection, "ops") == 1
    assert not metrics.registry.get_sample_value("alert_channel_failing", {"channel": "ops"})


def failing(connection: Session) -> list[str]:
    found = connection.execute("SELECT channel FROM monitoring.alert_channel WHERE failing_since IS NOT NULL")
    return [channel for (channel,) in found.fetchall()]


def test_a_secret_is_replaced_while_it_runs(
    database: DatabaseConfig, connection: Session, hook: Receiver, tmp_path: Path
) -> None:
    """The next attempt is signed with the new one."""
    key, path = "whsec_" + base64.b64encode(b"nmlkjihgfedcba9876543210").decode(), tmp_path / "secret"
    path.write_text(KEY)
    (tmp_path / "alerts.yaml").write_text(
        "policies: [{name: down, kind: down}]\ngrouping: {wait: 0s, at_most: 0s}\n"
        f"channels: [{{name: ops, type: webhook, url: '{hook.url}', secret: {{file: {path}}}}}]\n"
    )
    with running(database, load_alerts(tmp_path / "alerts.yaml").notifications):
        store(connection, transition(1, "firing", "suspected"))
        until(lambda: len(hook.requests) == 1)
        path.write_text(key)
        store(connection, transition(2, "firing", "suspected"))
        until(lambda: len(hook.requests) == 2)
    verified(hook.requests[0])
    Webhook(key).verify(hook.requests[1].body, dict(hook.requests[1].headers))


def test_what_nobody_takes_for_a_day_is_given_up(database: DatabaseConfig, connection: Session, hook: Receiver) -> None:
    """It stays in the table, as given up, and a metric counts it."""
    hook.status = 500
    metrics = Metrics()
    timing = Timing(lease_s=2.0, first_retry_s=0.2, last_retry_s=0.2, give_up_s=1.0)
    notifier = Notifier(
        database,
        (settings := through(webhook("ops", hook.url))),
        {"ops": sender(settings.channels[0])},
        metrics,
        timing,
    )
    store(connection, transition(1, "firing", "suspected"))
    connection.execute("SELECT pg_sleep(0.01)")
    notifier.run_once()
    connection.execute("UPDATE monitoring.alert_notification SET made_at = made_at - interval '2 s', next_at = now()")
    notifier._upkeep(connection)
    assert connection.execute("SELECT state FROM monitoring.alert_notification").fetchall() == [("given_up",)]
    assert metrics.registry.get_sample_value("alert_notifications_given_up_total", {"channel": "ops"}) == 1


def test_several_processes_send_each_message_once(
    database: DatabaseConfig, connection: Session, hook: Receiver
) -> None:
    """As long as nothing is killed or away, nothing is repeated."""
    settings = through(webhook("ops", hook.url))
    with running(database, settings), running(database, settings), running(database, settings):
        for number in range(60):
            store(connection, transition(number, "firing", "suspected"))
        until(lambda: waiting(connection) == 0)
    ids = [request.headers["webhook-id"] for request in hook.requests]
    assert len(ids) == len(set(ids))
    told = [number for request in hook.requests for number in verified(request)["data"]["transitions"]]
    assert (len(told), len(set(told))) == (60, 60)


def test_a_channel_that_hangs_does_not_hold_up_another_one(
    database: DatabaseConfig, connection: Session, hook: Receiver
) -> None:
    """Each has its own way."""
    with receiver() as slow:
        slow.delay_s = 60.0
        settings = Notifications(
            channels=(webhook("slow", slow.url), webhook("ops", hook.url)),
            routes=(Route(channels=("slow", "ops")),),
            grouping=AT_ONCE,
        )
        with running(database, settings, Timing()):
            for number in range(3):
                store(connection, transition(number, "firing", "suspected"))
                until(lambda: waiting(connection, "ops") == 0, ANSWER_S - 1)
                assert len(hook.requests) == number + 1
            assert len(slow.requests) <= 2


def test_the_body_is_json_that_holds_hostile_text_as_it_is(
    database: DatabaseConfig, connection: Session, hook: Receiver
) -> None:
    """A program gets what the website said; people get words without markup."""
    hostile = 'x", "severity": "info"}\r\n<!channel> @everyone'
    with running(database, through(webhook("ops", hook.url))):
        store(connection, transition(1, "firing", "suspected", error=hostile))
        until(lambda: waiting(connection) == 0)
    data = json.loads(hook.requests[0].body)["data"]
    assert (data["alerts"][0]["error"], data["severity"]) == (hostile, "critical")
    assert not set(data["text"]) & set("<>@")
